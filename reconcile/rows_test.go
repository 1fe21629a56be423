package reconcile_test

import (
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

var noon = monday.Add(12 * time.Hour)

// account is a FirstPromoter that has these commissions, totals of days and leads. Without leads everybody is one. A search for
// commissions finds none.
type account struct{ commissions, days, leads []string }

func (a account) client(t *testing.T) *firstpromoter.Client {
	t.Helper()
	for i, row := range a.commissions {
		a.commissions[i] = strings.Replace(row, "{", fmt.Sprintf(`{"id":%d,`, i+1), 1)
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rows := []string{}
		_, lead, one := strings.Cut(r.URL.Path, "/referrals/")
		switch q := r.URL.Query(); {
		case one && a.leads == nil:
			_, _ = fmt.Fprint(w, `{"id":1,"state":"active","created_at":"2026-01-01T00:00:00Z"}`)
			return
		case one:
			i := slices.IndexFunc(a.leads, func(row string) bool { return strings.Contains(strings.ToLower(row), `"`+lead+`"`) })
			if i < 0 {
				w.WriteHeader(http.StatusNotFound)
				_, _ = fmt.Fprint(w, `{"message":"not found"}`)
				return
			}
			_, _ = fmt.Fprint(w, a.leads[i])
			return
		case strings.HasSuffix(r.URL.Path, "/commissions") && !q.Has("ids[]") && !q.Has("q"):
			rows = a.commissions
		case strings.HasSuffix(r.URL.Path, "/overview"):
			rows = a.days
		case strings.HasSuffix(r.URL.Path, "/referrals"):
			rows = a.leads
		}
		_, _ = fmt.Fprintf(w, "[%s]", strings.Join(rows, ","))
	}))
	t.Cleanup(api.Close)
	client, err := firstpromoter.New(firstpromoter.Config{APIKey: "key", AccountID: "account", BaseURL: api.URL + "/company", Rate: 6000})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// listing is a client of an account with these commissions.
func listing(t *testing.T, rows ...string) *firstpromoter.Client {
	t.Helper()
	return account{commissions: rows}.client(t)
}

// sold is a list of sales.
func sold(sales ...reconcile.Sale) iter.Seq2[reconcile.Sale, error] {
	return func(yield func(reconcile.Sale, error) bool) {
		for _, s := range sales {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// A refund's commission may have the sale's event id. Amount, sale and time tell which refund it is of.
func TestRefundsOfASale(t *testing.T) {
	t.Parallel()
	refund := func(n int, amount int64, sale string, at time.Time) reconcile.Sale {
		return reconcile.Sale{At: at, Event: fprom.Refund{EventID: fmt.Sprint("re_", n), Email: "ann@example.com", Amount: amount, SaleEventID: sale}}
	}
	day := noon.AddDate(0, 0, 1)
	const back = `{"event_id":"ch_1","sale_amount":-500,"created_at":"2026-03-10T12:00:00Z","promoter_campaign":{"id":1,"promoter_id":1}}`
	other := strings.ReplaceAll(back, `"id":1,"promoter_id":1}`, `"id":2,"promoter_id":2},"tier":2`)
	for name, c := range map[string]struct {
		sold             time.Time
		refunds          []reconcile.Sale
		rows             []string
		missing, doubled []string
	}{
		"the amount tells":            {noon, []reconcile.Sale{refund(1, 300, "ch_1", day), refund(2, 500, "ch_1", day)}, []string{back}, []string{"re_1"}, nil},
		"its sale is not known":       {noon, []reconcile.Sale{refund(1, 500, "", day)}, []string{back}, nil, nil},
		"in the account's currency":   {noon, []reconcile.Sale{refund(1, 500, "ch_1", day)}, []string{strings.Replace(back, "{", `{"original_sale_amount":-500,"original_sale_currency":"USD",`, 1)}, nil, nil},
		"of another sale":             {noon, []reconcile.Sale{refund(1, 500, "ch_2", day)}, []string{back}, []string{"re_1"}, nil},
		"of a sale long before":       {noon.AddDate(0, 0, -30), []reconcile.Sale{refund(1, 500, "ch_1", day)}, []string{back}, nil, nil},
		"days later":                  {noon, []reconcile.Sale{refund(1, 500, "", day.AddDate(0, 0, 2))}, []string{back}, []string{"re_1"}, nil},
		"two of one amount":           {noon, []reconcile.Sale{refund(1, 500, "ch_1", day), refund(2, 500, "ch_1", day)}, []string{back, back}, nil, nil},
		"one of two lost":             {noon, []reconcile.Sale{refund(1, 500, "ch_1", day), refund(2, 500, "ch_1", day)}, []string{back}, []string{"re_2"}, nil},
		"one of two with tiers, lost": {noon, []reconcile.Sale{refund(1, 500, "ch_1", day), refund(2, 500, "ch_1", day)}, []string{back, other}, []string{"re_2"}, nil},
		"twice":                       {noon, []reconcile.Sale{refund(1, 500, "ch_1", day)}, []string{back, back}, nil, []string{"re_1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := c.rows
			if c.sold.Equal(noon) {
				rows = append([]string{`{"event_id":"ch_1","sale_amount":2000,"created_at":"2026-03-09T12:00:00Z","promoter_campaign":{"id":1,"promoter_id":1}}`}, c.rows...)
			}
			all := append([]reconcile.Sale{{At: c.sold, Event: fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 2000}}}, c.refunds...)
			r, err := reconcile.Run(t.Context(), reconcile.Options{
				Client: listing(t, rows...), From: monday, To: monday.AddDate(0, 0, 4), Full: true,
				Sales: sold(all...),
			})
			if err != nil || r.Unidentified != 0 {
				t.Errorf("%+v %v", r, err)
			}
			found(t, r, c.missing, nil, nil, c.doubled)
		})
	}
}

// A refund that took back more or less than it should needs a person.
func TestRefundOfAnotherAmount(t *testing.T) {
	t.Parallel()
	r, err := reconcile.Run(t.Context(), reconcile.Options{
		Client: listing(t, `{"event_id":"re_1","sale_amount":-400,"created_at":"2026-03-09T12:00:00Z"}`), From: monday, To: monday, Full: true,
		Sales: sold(reconcile.Sale{At: noon, Event: fprom.Refund{EventID: "re_1", Email: "ann@example.com", Amount: 500}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	found(t, r, nil, nil, []string{"re_1"}, nil)
}

// An outbox does not know the sale of a refund. A list beside it does: then the row of one refund is not taken for that of another.
func TestRefundsOfAnOutbox(t *testing.T) {
	t.Parallel()
	box := &outboxtest.Outbox{}
	list := []reconcile.Sale{{At: noon, Event: fprom.Sale{EventID: "nowhere else", Email: "ann@example.com", Amount: 500}}}
	for _, key := range []string{"sale:ch_1", "sale:ch_2", "refund:re_1", "refund:re_2"} {
		kind, id, _ := strings.Cut(key, ":")
		box.Add(fprom.Entry{Key: key, Kind: kind, State: fprom.StateDone, Outcome: fprom.Tracked, Amount: 500, RecordedAt: noon, SettledAt: noon, Commissions: 1})
		if kind == fprom.KindRefund {
			list = append(list, reconcile.Sale{At: noon, Event: fprom.Refund{EventID: id, Email: "ann@example.com", Amount: 500, SaleEventID: "ch" + strings.TrimPrefix(id, "re")}})
		}
	}
	const row = `{"event_id":"ch_1","sale_amount":500,"created_at":"2026-03-09T12:00:00Z"}`
	r, err := reconcile.Run(t.Context(), reconcile.Options{
		Client: listing(t, row, strings.Replace(row, "ch_1", "ch_2", 1), strings.NewReplacer("ch_1", "ch_2", "500", "-500").Replace(row)),
		Outbox: box, Sales: sold(list...), From: monday, To: monday, Full: true,
	})
	if err != nil || r.Matched != 3 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"re_1"}, nil, nil, nil)
}

// What a refund took back, under the id of its sale, is no commission of the sale.
func TestRefundOfALostSale(t *testing.T) {
	t.Parallel()
	r, err := reconcile.Run(t.Context(), reconcile.Options{
		Client: listing(t, `{"event_id":"ch_1","sale_amount":-500,"created_at":"2026-03-10T12:00:00Z"}`), From: monday, To: monday.AddDate(0, 0, 2), Full: true,
		Sales: sold(reconcile.Sale{At: noon, Event: fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 2000}}),
	})
	if err != nil || r.Matched != 0 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"ch_1"}, nil, nil, nil)
}

// The row of one refund is not taken for that of another one of the same amount that was given up: nobody would mend that one.
func TestRefundThatWasGivenUp(t *testing.T) {
	t.Parallel()
	box := &outboxtest.Outbox{}
	for _, e := range []fprom.Entry{
		{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 1},
		{Key: "refund:re_1", Kind: fprom.KindRefund, State: fprom.StateDead, Outcome: fprom.Rejected},
		{Key: "refund:re_2", Kind: fprom.KindRefund, State: fprom.StateDone, Outcome: fprom.Tracked},
	} {
		e.Amount, e.RecordedAt, e.SettledAt = 500, noon, noon
		box.Add(e)
	}
	const row = `{"event_id":"ch_1","sale_amount":500,"created_at":"2026-03-09T12:00:00Z"}`
	back := strings.ReplaceAll(row, "500", "-500")
	for dead, rows := range [][]string{{row, back, back}, {row, back}} { // both arrived: the answer to the first was lost
		r, err := reconcile.Run(t.Context(), reconcile.Options{Client: listing(t, rows...), Outbox: box, From: monday, To: monday, Full: true})
		if err != nil || r.Dead != dead || r.Matched != 2 {
			t.Errorf("%+v %v", r, err)
		}
		found(t, r, nil, nil, nil, nil)
	}
}

// Only what a sale or a refund earned can be foreign, and only if the outbox knows nothing of it.
func TestRowsOfNobody(t *testing.T) {
	t.Parallel()
	const at = `"created_at":"2026-03-10T12:00:00Z"}`
	for name, c := range map[string]struct {
		rows         []string
		foreign      []string
		unidentified int
	}{
		"a sale":                     {[]string{`{"event_id":"in_9","commission_type":"sale","sale_amount":500,` + at}, []string{"in_9"}, 0},
		"without a type":             {[]string{`{"event_id":"in_9","sale_amount":500,` + at}, []string{"in_9"}, 0},
		"a refund":                   {[]string{`{"event_id":"re_9","commission_type":"refund","sale_amount":-500,` + at}, []string{"re_9"}, 0},
		"made by hand":               {[]string{`{"event_id":"in_9","commission_type":"custom","amount":500,` + at, `{"commission_type":"custom","amount":500,` + at}, nil, 0},
		"without an event id":        {[]string{`{"sale_amount":500,` + at}, nil, 1},
		"of other days":              {[]string{`{"event_id":"in_9","sale_amount":500,"created_at":"2026-03-12T00:00:00Z"}`, `{"sale_amount":500,"created_at":"2026-03-12T00:00:00Z"}`}, nil, 0},
		"older than the outbox":      {[]string{`{"event_id":"in_9","sale_amount":500,"created_at":"2026-03-09T11:00:00Z"}`, `{"event_id":"in_9","sale_amount":500,"created_at":"2026-03-09T11:00:00Z"}`}, nil, 2},
		"the refund of a sale":       {[]string{`{"event_id":"ch_long_ago","sale_amount":-500,` + at}, nil, 0},
		"in the second of the start": {[]string{`{"event_id":"in_9","sale_amount":500,"created_at":"2026-03-09T12:00:00Z"}`}, []string{"in_9"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := &outboxtest.Outbox{}
			first := noon.Add(300 * time.Millisecond)
			box.Add(fprom.Entry{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDone, Outcome: fprom.NotReferral, Amount: 1999, RecordedAt: first, SettledAt: first})
			if slices.ContainsFunc(c.rows, func(row string) bool { return strings.Contains(row, "ch_long_ago") }) {
				box.Add(fprom.Entry{Key: "sale:ch_long_ago", Kind: fprom.KindSale, State: fprom.StateDone, Outcome: fprom.Tracked, Amount: 500, RecordedAt: monday.AddDate(0, 0, -90), SettledAt: monday.AddDate(0, 0, -90)})
			}
			r, err := reconcile.Run(t.Context(), reconcile.Options{Client: listing(t, c.rows...), Outbox: box, From: monday, To: monday.AddDate(0, 0, 2), Full: true})
			if err != nil || r.Unidentified != c.unidentified {
				t.Errorf("%d unidentified, want %d, %v", r.Unidentified, c.unidentified, err)
			}
			found(t, r, nil, c.foreign, nil, nil)
			for _, e := range r.Foreign {
				if e.Amount != 500 {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// A sale belongs to the day on which it arrived, also if it was recorded long before. A damaged record is no missing commission.
func TestRecordedBeforeTheDays(t *testing.T) {
	t.Parallel()
	box := &outboxtest.Outbox{}
	for id, e := range map[string]fprom.Entry{
		"ch_1": {RecordedAt: monday.AddDate(0, 0, -20), SettledAt: noon},
		"ch_2": {RecordedAt: monday.AddDate(0, 0, -20), SettledAt: monday.Add(-time.Second)},
		"ch_3": {RecordedAt: noon, SettledAt: noon, Damaged: true},
	} {
		e.Key, e.Kind, e.State, e.Outcome, e.Amount, e.Commissions = "sale:"+id, fprom.KindSale, fprom.StateDone, fprom.Tracked, 500, 1
		box.Add(e)
	}
	r, err := reconcile.Run(t.Context(), reconcile.Options{Client: listing(t), Outbox: box, From: monday, To: monday, Full: true})
	if err != nil || r.Waiting != 1 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"ch_1"}, nil, nil, nil)
}

// The days are the dates of From and To in their own zones, whatever the time.
func TestDatesOfAZone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -5*60*60)
	box := &outboxtest.Outbox{}
	box.Add(fprom.Entry{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDone, Outcome: fprom.NotReferral, Amount: 500, RecordedAt: noon, SettledAt: noon})
	r, err := reconcile.Run(t.Context(), reconcile.Options{Client: listing(t), Outbox: box, From: time.Date(2026, 3, 9, 23, 0, 0, 0, zone), To: time.Date(2026, 3, 9, 0, 0, 0, 0, zone)})
	if err != nil || len(r.Days) != 1 || r.Days[0].Day != "2026-03-09" || r.NotReferral != 1 {
		t.Errorf("%+v %v", r, err)
	}
}

// Two event ids that differ in case only are two sales: neither is doubled, and neither has the other's amount.
func TestIDsThatDifferInCase(t *testing.T) {
	t.Parallel()
	for _, theirs := range [][2]string{{"aB1", "Ab1"}, {"Ab1", "aB1"}, {"ab1", "AB1"}} {
		box := &outboxtest.Outbox{}
		var rows []string
		for i, id := range theirs {
			box.Add(fprom.Entry{Key: "sale:" + id, Kind: fprom.KindSale, State: fprom.StateDone, Outcome: fprom.Tracked, Amount: int64(500 + i), Commissions: 1, RecordedAt: noon, SettledAt: noon})
			rows = append(rows, fmt.Sprintf(`{"event_id":%q,"commission_type":"sale","sale_amount":%d,"created_at":"2026-03-09T12:00:00Z"}`, id, 500+i))
		}
		r, err := reconcile.Run(t.Context(), reconcile.Options{Client: listing(t, rows...), Outbox: box, From: monday, To: monday, Full: true})
		if err != nil || r.Matched != 2 {
			t.Errorf("%v: %+v %v", theirs, r, err)
		}
		found(t, r, nil, nil, nil, nil)
	}
}

// Whatever zone FirstPromoter's days are in, the first and the last day are read whole.
func TestEdgesOfTheDays(t *testing.T) {
	t.Parallel()
	for _, company := range []fpromtest.Company{{}, {DayZone: -11 * time.Hour}, {DayZone: 14 * time.Hour, ToExclusive: true}, {DayZone: -11 * time.Hour, ToExclusive: true}} {
		fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithCompany(company))
		for id, at := range map[string]time.Duration{"before": -time.Minute, "first": 0, "last": 24*time.Hour - time.Second, "after": 24 * time.Hour} {
			fake.AddPastSale(fpromtest.PastSale{EventID: id, Email: id + "@example.com", Amount: 500, At: monday.Add(at)})
		}
		box := &outboxtest.Outbox{}
		box.Add(fprom.Entry{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDone, RecordedAt: monday.AddDate(0, 0, -5), SettledAt: monday.AddDate(0, 0, -5)})
		o := (&world{fake: fake}).options(t)
		o.Outbox, o.Full, o.From, o.To = box, true, monday, monday
		r, err := reconcile.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", company)
		found(t, r, nil, []string{"first", "last"}, nil, nil)
	}
}
