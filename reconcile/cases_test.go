package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

// Without event ids the commissions are known by the ids of the answers, or by customer, amount and time. A foreign or a
// second one cannot be told from each other then: it is nobody's.
func TestWithoutEventIDs(t *testing.T) {
	t.Parallel()
	for _, fromOutbox := range []bool{true, false} {
		t.Run(fmt.Sprint("outbox ", fromOutbox), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fpromtest.Company{NullEventIDs: true}, 4, 40)
				o := w.options(t)
				o.Full = true
				if fromOutbox {
					o.Outbox = w.outbox(t)
				} else {
					o.Sales = w.list()
				}
				r, err := reconcile.Run(t.Context(), o)
				if err != nil || !r.Clean() || r.Unidentified != 0 {
					t.Fatalf("%+v %v", r, err)
				}
				w.spoil(2)
				r, err = reconcile.Run(t.Context(), o)
				if err != nil || r.Unidentified != 2 {
					t.Errorf("%d unidentified, %v", r.Unidentified, err)
				}
				found(t, r, w.missing, nil, w.differs, nil)
			})
		})
	}
}

// What FirstPromoter shows of one sale decides its verdict, whichever way it is shown. at is in the row if it is of the sale's day.
func TestRowsOfOneSale(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	const split, tier = `"is_split":true,"sale_amount":1000`, `"sale_amount":1999,"promoter_campaign":{"id":1,"promoter_id":1}`
	for name, c := range map[string]struct {
		rows []string
		want string
	}{
		"without an amount":                    {[]string{`"sale_amount":null,"original_sale_amount":null`}, "matched"},
		"converted":                            {[]string{`"sale_amount":2199,"original_sale_amount":1999,"original_sale_currency":"USD"`}, "matched"},
		"in another currency":                  {[]string{`"sale_amount":1999,"original_sale_amount":1999,"original_sale_currency":"EUR"`}, "differs"},
		"the converted amount is ours":         {[]string{`"sale_amount":1999,"original_sale_amount":2199,"original_sale_currency":"USD"`}, "differs"},
		"no currency, the original is ours":    {[]string{`"sale_amount":2199,"original_sale_amount":1999`}, "matched"},
		"another amount":                       {[]string{`"sale_amount":1998`}, "differs"},
		"no currency, none is ours":            {[]string{`"sale_amount":2199,"original_sale_amount":1998`}, "differs"},
		"converted to nothing":                 {[]string{`"sale_amount":0,"original_sale_amount":1998`}, "differs"},
		"one of two has another amount":        {[]string{tier, `"sale_amount":1998,"tier":2`}, "differs"},
		"two tiers":                            {[]string{tier, tier + `,"tier":2`}, "matched"},
		"two promoters":                        {[]string{tier, `"sale_amount":1999,"promoter_campaign":{"id":2,"promoter_id":2}`}, "matched"},
		"two rewards":                          {[]string{tier, tier + `,"reward":{"id":2}`}, "matched"},
		"twice":                                {[]string{tier, tier}, "doubled"},
		"twice, one denied":                    {[]string{tier, tier + `,"status":"denied"`}, "matched"},
		"split":                                {[]string{split, split}, "matched"},
		"a part back, twice":                   {[]string{tier, `"sale_amount":-500`, `"sale_amount":-500`}, "matched"},
		"of a month later, by the answer's id": {[]string{`"sale_amount":1999,"created_at":"2026-04-20T12:00:00Z"`}, "matched"},
		"none":                                 {nil, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := &outboxtest.Outbox{}
			box.Add(fprom.Entry{
				Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDone, Outcome: fprom.Tracked, Amount: 1999, Currency: "usd",
				RecordedAt: at, SettledAt: at, Commissions: 1, CommissionIDs: []int64{7},
			})
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var rows []string
				for i, row := range c.rows {
					if later := strings.Contains(row, "created_at"); strings.HasSuffix(r.URL.Path, "/commissions") && later == r.URL.Query().Has("ids[]") {
						rows = append(rows, fmt.Sprintf(`{"id":%d,"event_id":"ch_1","status":"pending","created_at":"2026-03-10T12:00:00Z",%s}`, 7+i, row))
					}
				}
				_, _ = fmt.Fprintf(w, "[%s]", strings.Join(rows, ","))
			}))
			t.Cleanup(api.Close)
			client, err := firstpromoter.New(firstpromoter.Config{APIKey: "key", AccountID: "account", BaseURL: api.URL + "/company"})
			if err != nil {
				t.Fatal(err)
			}
			r, err := reconcile.Run(t.Context(), reconcile.Options{Client: client, Outbox: box, From: at, To: at})
			got := map[string]int{"matched": r.Matched, "differs": len(r.AmountDiffers), "doubled": len(r.Doubled), "missing": len(r.Missing)}
			if err != nil || got[c.want] != 1 || r.Clean() != (c.want == "matched") || got["matched"]+got["differs"]+got["doubled"]+got["missing"] != 1 {
				t.Errorf("want %s: %+v %v", c.want, r, err)
			}
			for _, e := range slices.Concat(r.AmountDiffers, r.Doubled, r.Missing) {
				if want := []int64{7, 8}[:max(len(c.rows), 1)]; !slices.Equal(e.CommissionIDs, want) {
					t.Errorf("%v, want the commissions %v", e.CommissionIDs, want)
				}
			}
			for _, e := range r.AmountDiffers {
				if rows := strings.Join(c.rows, ","); strings.Contains(rows, "original_") && !strings.Contains(rows, fmt.Sprint(`"original_sale_amount":`, e.TheirAmount)) {
					t.Errorf("their amount is %d, not that before the conversion", e.TheirAmount)
				}
			}
		})
	}
}

// A commission that a refund should have taken back, and did not, is missing; a list finds it too. The refund of another sale of the
// same customer and amount is not taken for it.
func TestLostRefund(t *testing.T) {
	t.Parallel()
	for _, fromOutbox := range []bool{true, false} {
		for _, rows := range []fpromtest.RefundRows{0, fpromtest.RefundRowSale} {
			w := newWorld(t, fpromtest.Company{RefundRows: rows}, 3, 20)
			o := w.options(t)
			o.Full, o.Sales = true, w.list()
			if fromOutbox {
				o.Outbox = w.outbox(t)
			}
			w.fake.Lose("re_ch_1_4")
			r, err := reconcile.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Missing = slices.DeleteFunc(r.Missing, func(e reconcile.Entry) bool { return !fromOutbox && strings.HasSuffix(e.EventID, "2") }); len(r.Missing) != 1 || r.Missing[0].Kind != fprom.KindRefund {
				t.Errorf("outbox %v, rows %v", fromOutbox, rows)
			}
			found(t, r, []string{"re_ch_1_4"}, nil, nil, nil)
		}
	}
}

// A provider's export of payments has no refunds: their commissions are no foreign ones.
func TestListWithoutRefunds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 3, 40)
	o := w.options(t)
	refunds := 0
	o.Full, o.Sales = true, func(yield func(reconcile.Sale, error) bool) {
		for s, err := range w.list() {
			if _, ok := s.Event.(fprom.Refund); ok {
				refunds++
			} else if !yield(s, err) {
				return
			}
		}
	}
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || !r.Clean() || refunds == 0 || r.Unidentified != refunds {
		t.Errorf("%d refunds: %+v %v", refunds, r, err)
	}
}

// Whatever is done to the books between the days, the verdict of one event is one.
func TestVerdictsOfSingleEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 2, 40)
	box := w.outbox(t)
	yesterday := monday.Add(-60 * 24 * time.Hour)
	for id, e := range map[string]fprom.Entry{
		"early":   {State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 1, RecordedAt: yesterday, SettledAt: monday.Add(time.Hour)}, // recorded long before
		"waiting": {State: fprom.StateWaiting, RecordedAt: monday.Add(time.Hour)},                                                            // its answer was lost
		"dead":    {State: fprom.StateDead, Outcome: fprom.Rejected, RecordedAt: monday.Add(time.Hour), SettledAt: monday.Add(2 * time.Hour)},
		"again":   {State: fprom.StateDone, Outcome: fprom.Duplicate, RecordedAt: monday, SettledAt: monday.Add(time.Hour)},
		"UPPER":   {State: fprom.StateDone, Outcome: fprom.Tracked, Commissions: 1, RecordedAt: monday, SettledAt: monday.Add(time.Hour)},
	} {
		e.Key, e.Kind, e.Amount, e.Currency = "sale:"+id, fprom.KindSale, 100, "usd"
		box.Add(e)
		if id != "again" {
			w.fake.AddPastSale(fpromtest.PastSale{EventID: strings.ToLower(id), Email: id + "@example.com", Amount: 100, Currency: "USD", At: monday.Add(time.Hour)})
		}
	}
	w.fake.Deny("ch_1_5")
	w.fake.Double("ch_1_6")
	w.fake.Deny("ch_1_6") // both
	o := w.options(t)
	o.Outbox, o.Full = box, true
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || !r.Clean() || r.Waiting != 2 {
		t.Errorf("%+v %v", r, err)
	}
	if got := ids(r.Denied); !slices.Equal(got, []string{"ch_1_5", "ch_1_6"}) {
		t.Errorf("denied: %q", got)
	}
}

// After a lost answer FirstPromoter knows the event id, and does not say what it earned. On a day that agrees it is taken as right.
func TestAnswerWasLost(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		w := newWorld(t, fpromtest.Company{}, 1, 0)
		box := w.outbox(t)
		box.Add(fprom.Entry{Key: "sale:again", Kind: fprom.KindSale, Amount: 100, Currency: "usd", State: fprom.StateDone, Outcome: fprom.Duplicate, RecordedAt: noon, SettledAt: noon})
		w.fake.AddPastSale(fpromtest.PastSale{EventID: "again", Email: "again@example.com", Amount: 100, Currency: "USD", At: noon})
		o := w.options(t)
		o.Outbox, o.Full = box, full
		r, err := reconcile.Run(t.Context(), o)
		if err != nil || !r.Clean() || r.Matched != 1 || r.NoCommission != 0 {
			t.Errorf("full %v: %+v %v", full, r, err)
		}
	}
}

// A dead letter that FirstPromoter does not have is a lost commission unless somebody acts, also where the days agree.
func TestDeadLetterNeedsAPerson(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		w := newWorld(t, fpromtest.Company{}, 2, 20)
		box := w.outbox(t)
		box.Add(fprom.Entry{
			Key: "sale:dead", Kind: fprom.KindSale, Amount: 100, Currency: "usd", State: fprom.StateDead, Outcome: fprom.Rejected,
			RecordedAt: monday.Add(time.Hour), SettledAt: monday.Add(2 * time.Hour),
		})
		box.Add(fprom.Entry{Key: "sale:waits", Kind: fprom.KindSale, Amount: 100, Currency: "usd", State: fprom.StateWaiting, RecordedAt: monday.Add(time.Hour)})
		o := w.options(t)
		o.Outbox, o.Full = box, full
		r, err := reconcile.Run(t.Context(), o)
		if err != nil || r.Clean() || r.Waiting != 2 || r.Dead != 1 || !strings.Contains(strings.Join(r.Advice(), "\n"), "fprom dead list") {
			t.Errorf("full %v: %+v %q %v", full, r, r.Advice(), err)
		}
		for _, d := range r.Days {
			if d.Ours != d.Theirs { // FirstPromoter counts neither
				t.Errorf("full %v: %+v", full, d)
			}
		}
	}
}

// A refund that a native connection reports as well takes the commission back twice, also where its row has the sale's event id.
func TestDoubledRefund(t *testing.T) {
	t.Parallel()
	for _, fromOutbox := range []bool{true, false} {
		w := newWorld(t, fpromtest.Company{RefundRows: fpromtest.RefundRowSale}, 2, 20)
		o := w.options(t)
		o.Full, o.Sales = true, w.list()
		if fromOutbox {
			o.Outbox = w.outbox(t)
		}
		at := w.at["ch_1_4"].Add(2 * time.Minute)
		w.fake.AddPastSale(fpromtest.PastSale{EventID: "re_native", Email: "c1.4@example.com", Amount: 100, Currency: w.money[4%3], At: at, RefundOf: "ch_1_4"})
		r, err := reconcile.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		found(t, r, nil, nil, nil, []string{"re_ch_1_4"})
	}
}

// A second commission that comes weeks later is found too. A third one of the same sale is no second sale.
func TestDoubledWeeksLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 40, 10)
	o := w.options(t)
	o.Outbox, o.Full = w.outbox(t), true
	w.fake.AddPastSale(fpromtest.PastSale{EventID: "ch_2_6", Email: "c2.6@example.com", Amount: 542, Currency: "USD", At: monday.AddDate(0, 0, 30)})
	w.fake.Double("ch_3_6")
	w.fake.AddPastSale(fpromtest.PastSale{EventID: "ch_3_6", Email: "c3.6@example.com", Amount: 542, Currency: "USD", At: monday.AddDate(0, 0, 30)})
	r, err := reconcile.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found(t, r, nil, nil, nil, []string{"ch_2_6", "ch_3_6"})
	if r.Matched != w.expected-2 {
		t.Errorf("%d matched, want %d", r.Matched, w.expected-2)
	}
}

// An outbox without an event knows nothing: the advice must not be to deny the commissions of an old integration.
func TestEmptyOutbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 2, 20)
	o := w.options(t)
	o.Outbox = &outboxtest.Outbox{}
	r, err := reconcile.Run(t.Context(), o)
	if advice := strings.Join(r.Advice(), "\n"); err != nil || len(r.Foreign) == 0 || !strings.Contains(advice, "the outbox is younger than these days") {
		t.Errorf("%q %v", advice, err)
	}
}

// Weeks are read in pieces; what is found does not depend on them.
func TestLongListOfSales(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{DayZone: 9 * time.Hour}, 40, 30)
	o := w.options(t)
	o.Sales = w.list()
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || !r.Clean() || r.NotReferral != w.notReferral || r.NoCommission != w.noCommission || r.Matched != w.expected {
		t.Errorf("clean: %+v %v", r, err)
	}
}

// An interruption leaves a report of the days before, and the day to go on from; both together are the whole.
func TestInterruption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fpromtest.Company{}, 40, 26)
		for _, d := range []int{2, 13, 38} { // what is of day 13 is read with the 14 days before, too
			w.spoil(d)
		}
		o := w.options(t)
		o.Outbox, o.Full = w.outbox(t), true
		whole, err := reconcile.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		found(t, whole, w.missing, w.foreign, w.differs, w.doubled)
		for _, after := range []int{0, 3, 6, 9, -1} { // -1: in the second search for what is missing
			ctx, cancel := context.WithCancel(t.Context())
			searches := 0
			o.Progress = func(p reconcile.Progress) {
				if p.Stage == "missing" && p.Total > 0 {
					searches++
				}
				if after >= 0 && p.Stage == "commissions" && p.Rows >= 100*after || after < 0 && searches == 2 {
					cancel()
				}
			}
			o.From = monday.AddDate(0, 0, -1)
			one, err := reconcile.Run(ctx, o)
			cancel()
			next, perr := time.Parse(time.DateOnly, one.Next)
			if !errors.Is(err, context.Canceled) || perr != nil {
				t.Fatalf("%v, next %q", err, one.Next)
			}
			o.From, o.Progress = next, nil
			two, err := reconcile.Run(t.Context(), o)
			if err != nil || one.Matched+two.Matched != whole.Matched || len(one.Days)+len(two.Days) != len(whole.Days) || one.NoCommission+two.NoCommission != whole.NoCommission {
				t.Errorf("after %d pages: %d and %d matched, %d and %d days, %v", after, one.Matched, two.Matched, len(one.Days), len(two.Days), err)
			}
			two.Missing, two.Foreign = append(one.Missing, two.Missing...), append(one.Foreign, two.Foreign...)
			two.AmountDiffers, two.Doubled = append(one.AmountDiffers, two.AmountDiffers...), append(one.Doubled, two.Doubled...)
			found(t, two, w.missing, w.foreign, w.differs, w.doubled)
		}
	})
}

// 429, 5xx and broken connections in the middle cost time and nothing else.
func TestDisturbances(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fpromtest.Fault{
		"429":            fpromtest.Status(429).Chance(0.3),
		"429 with time":  fpromtest.Status(429).RetryAfter("5").Chance(0.3),
		"503":            fpromtest.Status(503).Chance(0.2),
		"reset":          fpromtest.Reset().Chance(0.2),
		"truncated body": fpromtest.TruncatedBody().Chance(0.2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fpromtest.Company{MaxPerPage: 20}, 20, 26)
				w.spoil(3)
				o := w.options(t)
				o.Client = w.client(t, func(c *firstpromoter.Config) { c.Attempts = 8 })
				in := w.fake.Inject(fault.OnKind("company"))
				o.Outbox, o.Full = w.outbox(t), true
				r, err := reconcile.Run(t.Context(), o)
				if err != nil || in.Hits() < 2 {
					t.Fatalf("%v after %d faults", err, in.Hits())
				}
				found(t, r, w.missing, w.foreign, w.differs, w.doubled)
			})
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 1, 10)
	good := w.options(t)
	good.Outbox = w.outbox(t)
	for name, c := range map[string]struct {
		change func(*reconcile.Options)
		want   string
	}{
		"no client":        {func(o *reconcile.Options) { o.Client = nil }, "Options.Client"},
		"nothing sent":     {func(o *reconcile.Options) { o.Outbox = nil }, "Options.Outbox"},
		"no day":           {func(o *reconcile.Options) { o.To = time.Time{} }, "Options.From"},
		"no first day":     {func(o *reconcile.Options) { o.From = time.Time{} }, "Options.From"},
		"eleven years":     {func(o *reconcile.Options) { o.To = o.From.AddDate(11, 0, 0) }, "Options.To"},
		"days in disorder": {func(o *reconcile.Options) { o.To = o.From.AddDate(0, 0, -1) }, "Options.To"},
		"days in disorder, one of UTC": {func(o *reconcile.Options) {
			zone := time.FixedZone("", 5*60*60)
			o.From, o.To = time.Date(2026, 3, 10, 0, 0, 0, 0, zone), time.Date(2026, 3, 9, 23, 0, 0, 0, zone)
		}, "Options.To"},
		"a refused key": {func(o *reconcile.Options) {
			o.Client = w.client(t, func(c *firstpromoter.Config) { c.APIKey = "other" })
		}, fprom.ErrUnauthorized.Error()},
		"a list that fails": {func(o *reconcile.Options) {
			o.Sales = func(yield func(reconcile.Sale, error) bool) { yield(reconcile.Sale{}, errors.New("broken")) }
		}, "broken"},
	} {
		o := good
		c.change(&o)
		if r, err := reconcile.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}

// Where all sales are in the account's currency, the sum of a day tells what its number does not.
func TestSumsTell(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		company fpromtest.Company
		tells   bool
	}{
		"the account's currency": {fpromtest.Company{}, true},
		"in another zone":        {fpromtest.Company{DayZone: -7 * time.Hour}, true},
		"converted":              {fpromtest.Company{Rates: map[string]int64{"EUR": 110}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.company, 8, 40, "EUR")
			o := w.options(t)
			o.Outbox = w.outbox(t)
			if r, err := reconcile.Run(t.Context(), o); err != nil || !r.Clean() || r.Calls != 1 {
				t.Fatalf("clean: %+v %v", r, err)
			}
			w.fake.Lose("ch_2_5")
			w.fake.Double("ch_2_6")
			w.fake.Reprice("ch_5_7", 99)
			r, err := reconcile.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if !c.tells {
				o.Full = true
				if !r.Clean() || r.Calls != 1 {
					t.Errorf("a converted sum was compared: %+v", r)
				}
				if r, err = reconcile.Run(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			found(t, r, []string{"ch_2_5"}, nil, []string{"ch_5_7"}, []string{"ch_2_6"})
		})
	}
}

// An outbox says nothing of what was sent before its first event, such as from the queue in memory.
func TestBeforeTheOutbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fpromtest.Company{}, 6, 30)
		w.spoil(4)
		o := w.options(t)
		box := w.outbox(t)
		moved := monday.AddDate(0, 0, 3).Add(9 * time.Hour)
		box.Events = slices.DeleteFunc(box.Events, func(e fprom.Entry) bool { return e.RecordedAt.Before(moved) })
		o.Outbox, o.Full = box, true
		r, err := reconcile.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		found(t, r, w.missing, w.foreign, w.differs, w.doubled)
		if r.Unidentified == 0 {
			t.Errorf("%+v", r)
		}
	})
}

// A redriven dead letter comes last in an outbox. What is foreign since it was recorded is foreign, although the next event is younger.
func TestOldestEventRedriven(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 6, 30)
	w.spoil(4)
	box := w.outbox(t)
	first := box.Events[0]
	later := monday.AddDate(0, 0, 5)
	box.Events = append(slices.DeleteFunc(box.Events, func(e fprom.Entry) bool { return e.RecordedAt.Before(later) }), first)
	o := w.options(t)
	o.Outbox, o.Full = box, true
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || !slices.ContainsFunc(r.Foreign, func(e reconcile.Entry) bool { return e.EventID == w.foreign[0] }) {
		t.Errorf("%+v %v", r, err)
	}
}

// A lost sale and a foreign commission of one day leave its number of sales as it is; the sum shows them, also beside a list.
func TestSumOfAListOfSales(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.InMemory())
	noon := monday.Add(12 * time.Hour)
	fake.AddPastSale(fpromtest.PastSale{EventID: "ch_1", Email: "ann@example.com", Amount: 4900, Currency: "USD", At: noon})
	fake.AddPastSale(fpromtest.PastSale{EventID: "in_9", Email: "bob@example.com", Amount: 2000, Currency: "USD", At: noon})
	o := (&world{fake: fake, days: 1}).options(t)
	o.Sales = func(yield func(reconcile.Sale, error) bool) {
		_ = yield(reconcile.Sale{At: noon, Event: fprom.Sale{EventID: "ch_1", Email: "ann@example.com", Amount: 4900, Currency: "USD"}}, nil) &&
			yield(reconcile.Sale{At: noon, Event: fprom.Sale{EventID: "ch_7", Email: "ann@example.com", Amount: 1900, Currency: "USD"}}, nil)
	}
	r, err := reconcile.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found(t, r, []string{"ch_7"}, []string{"in_9"}, nil, nil)
}
