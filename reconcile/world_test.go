package reconcile_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
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

var monday = time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)

// world is a shop's history and a FirstPromoter that knows it, apart from what went wrong.
type world struct {
	fake  *fpromtest.Server
	days  int
	sales []fprom.Event
	at    map[string]time.Time // by event id
	rng   *rand.Rand
	money []string // currencies

	missing, foreign, differs, doubled []string
	expected                           int // sales and refunds with a commission, were all well
	noCommission, notReferral          int
}

// newWorld makes perDay sales a day: of referred customers, of ones whose promoter was recruited (two commissions), of
// ones whose promoter earns once, of ones whom nobody referred, and refunds.
func newWorld(t *testing.T, company fpromtest.Company, days, perDay int, currencies ...string) *world {
	t.Helper()
	w := &world{
		money: []string{"USD", "EUR", "JPY"},
		fake:  fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithRateLimit(0), fpromtest.WithCompany(company)),
		days:  days, at: map[string]time.Time{}, rng: rand.New(rand.NewPCG(11, 12)),
	}
	if len(currencies) > 0 {
		w.money = currencies
	}
	tiered, once := w.fake.AddPromoter("tiered"), w.fake.AddPromoter("once")
	tiered.RecruitedBy(w.fake.AddPromoter("up"))
	once.MaxRewards(1)
	for d := range days {
		for i := range perDay {
			at := monday.Add(time.Duration(d)*24*time.Hour + time.Duration(w.rng.Int64N(int64(24*time.Hour))).Truncate(time.Second))
			w.sell(d, i, at, map[int]*fpromtest.Promoter{1: tiered, 2: once}[i%10])
		}
	}
	return w
}

func (w *world) sell(d, i int, at time.Time, p *fpromtest.Promoter) {
	id, email := fmt.Sprintf("ch_%d_%d", d, i), fmt.Sprintf("c%d.%d@example.com", d, i)
	switch {
	case i%10 == 3: // nobody referred them
		email = strings.Replace(email, "example.com", "else.test", 1)
		w.notReferral++
	case i%10 == 2 && d%2 == 1: // the second sale of yesterday's customer, whose promoter earns once
		email = fmt.Sprintf("c%d.%d@example.com", d-1, i)
		w.noCommission++
	default:
		w.expected++
	}
	currency := w.money[i%len(w.money)]
	w.record(fprom.Sale{EventID: id, Email: email, Amount: int64(500 + 7*i), Currency: currency}, at)
	if i%10 == 3 {
		return
	}
	if p != nil {
		p.AddLead(email)
	}
	w.fake.AddPastSale(fpromtest.PastSale{EventID: id, Email: email, Amount: int64(500 + 7*i), Currency: currency, At: at})
	if i%10 == 4 {
		w.record(fprom.Refund{EventID: "re_" + id, Email: email, Amount: 100, Currency: currency, SaleEventID: id}, at.Add(time.Minute))
		w.fake.AddPastSale(fpromtest.PastSale{EventID: "re_" + id, Email: email, Amount: 100, Currency: currency, At: at.Add(time.Minute), RefundOf: id})
		w.expected++
	}
}

func (w *world) record(e fprom.Event, at time.Time) {
	w.sales = append(w.sales, e)
	switch e := e.(type) {
	case fprom.Sale:
		w.at[e.EventID] = at
	case fprom.Refund:
		w.at[e.EventID] = at
	}
}

// spoil lets go wrong what can go wrong, on a day, so that its number of sales is not what it was.
func (w *world) spoil(d int) {
	pick := func(i int) string { return fmt.Sprintf("ch_%d_%d", d, i) } // i%10 of 5, 6, 7: plain sales
	for _, i := range []int{5, 15, 25} {
		w.fake.Lose(pick(i))
		w.missing = append(w.missing, pick(i))
	}
	w.fake.Double(pick(6))
	w.doubled = append(w.doubled, pick(6))
	w.fake.Reprice(pick(7), 99)
	w.differs = append(w.differs, pick(7))
	native := fmt.Sprintf("in_native_%d", d)
	w.fake.AddPastSale(fpromtest.PastSale{EventID: native, Email: fmt.Sprintf("c%d.16@example.com", d), Amount: 500 + 7*16, Currency: "EUR", At: w.at[pick(16)].Add(30 * time.Second)})
	w.foreign = append(w.foreign, native)
}

// outbox is what the shop's outbox has.
func (w *world) outbox(t *testing.T) *outboxtest.Outbox {
	t.Helper()
	box := &outboxtest.Outbox{}
	earned := map[string][]int64{}
	for _, c := range w.fake.Commissions() {
		earned[c.Kind+":"+c.EventID] = append(earned[c.Kind+":"+c.EventID], c.ID)
	}
	for _, e := range w.sales {
		m, err := fprom.NewMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		entry := fprom.NewEntry(m)
		id := strings.SplitN(m.Key, ":", 2)[1]
		entry.RecordedAt, entry.SettledAt = w.at[id].Add(-time.Second), w.at[id]
		entry.State, entry.Outcome, entry.Customer, entry.Attempts = fprom.StateDone, fprom.Tracked, "", 1
		entry.CommissionIDs = earned[m.Key]
		entry.Commissions = len(entry.CommissionIDs)
		if strings.Contains(m.Customer, "else.test") {
			entry.Outcome = fprom.NotReferral
		}
		box.Add(entry)
	}
	slices.SortStableFunc(box.Events, func(a, b fprom.Entry) int { return a.RecordedAt.Compare(b.RecordedAt) })
	return box
}

// list is the shop's own list of sales.
func (w *world) list() iter.Seq2[reconcile.Sale, error] {
	var all []reconcile.Sale
	for _, e := range w.sales {
		s := reconcile.Sale{Event: e}
		switch e := e.(type) {
		case fprom.Sale:
			s.At = w.at[e.EventID]
		case fprom.Refund:
			s.At = w.at[e.EventID]
		}
		all = append(all, s)
	}
	return sold(all...)
}

func (w *world) client(t *testing.T, change ...func(*firstpromoter.Config)) *firstpromoter.Client {
	t.Helper()
	cfg := firstpromoter.Config{BaseURL: w.fake.URL, APIKey: w.fake.APIKey, AccountID: w.fake.AccountID, HTTPClient: w.fake.Config().HTTPClient, Rate: 6000}
	for _, c := range change {
		c(&cfg)
	}
	c, err := firstpromoter.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) options(t *testing.T) reconcile.Options {
	t.Helper()
	return reconcile.Options{Client: w.client(t), From: monday.AddDate(0, 0, -1), To: monday.AddDate(0, 0, w.days)}
}

func ids(entries []reconcile.Entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.EventID
	}
	slices.Sort(out)
	return out
}

// found checks that a report names exactly what went wrong.
func found(t *testing.T, r reconcile.Report, missing, foreign, differs, doubled []string) {
	t.Helper()
	for _, c := range []struct {
		name string
		got  []reconcile.Entry
		want []string
	}{{"missing", r.Missing, missing}, {"foreign", r.Foreign, foreign}, {"amount differs", r.AmountDiffers, differs}, {"doubled", r.Doubled, doubled}} {
		want := slices.Clone(c.want)
		slices.Sort(want)
		if got := ids(c.got); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
	}
	if !slices.IsSortedFunc(r.Foreign, func(a, b reconcile.Entry) int { return a.SettledAt.Compare(b.SettledAt) }) {
		t.Errorf("foreign ones are in no order: %+v", r.Foreign)
	}
	for _, e := range r.Foreign {
		if len(e.CommissionIDs) == 0 {
			t.Errorf("nobody can find this commission: %+v", e)
		}
	}
}
