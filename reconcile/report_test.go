package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

// What is missing is sent again under its own event id, once, and only if that is asked for.
func TestRedrive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*world, *reconcile.Options)
		want   reconcile.Redriven
	}{
		{"a list of sales", func(w *world, o *reconcile.Options) { o.Outbox, o.Sales = nil, w.list() }, reconcile.Redriven{Tracked: 3, Duplicate: 1}},
		{"an outbox and a list for the customers", func(w *world, o *reconcile.Options) { o.Sales = w.list() }, reconcile.Redriven{Tracked: 3, Duplicate: 1}},
		{"an outbox alone", func(*world, *reconcile.Options) {}, reconcile.Redriven{NoCustomer: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fpromtest.Company{}, 3, 20)
				o := w.options(t)
				o.Outbox, o.Full = w.outbox(t), true
				for _, id := range []string{"ch_2_5", "ch_2_15", "re_ch_2_4"} {
					w.fake.Forget(id)
				}
				w.fake.Lose("ch_2_6")
				c.change(w, &o)
				if r, err := reconcile.Run(t.Context(), o); err != nil || len(r.Missing) != 4 || r.Redriven != nil || w.fake.Count("sale", "") != 0 {
					t.Fatalf("%+v %v", r, err)
				}
				tracker, err := fprom.New(w.fake.Config())
				if err != nil {
					t.Fatal(err)
				}
				o.Redrive = tracker.Track
				r, err := reconcile.Run(t.Context(), o)
				if err != nil || *r.Redriven != c.want {
					t.Errorf("%+v %v", r.Redriven, err)
				}
				if err := tracker.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What an outbox misses is sent again with the currency that it was sent with. A list that names another one, or another amount, has
// another sale.
func TestRedriveInTheCurrencyOfTheOutbox(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id, outbox, listed string
		amount             int64
		sent               string
	}{
		{"ch_0_5", "usd", "USD", 535, "usd"},
		{"ch_0_5", "usd", "", 535, "usd"},
		{"ch_0_5", "usd", "EUR", 535, "nothing"},
		{"ch_0_5", "usd", "USD", 536, "nothing"},
		{"ch_0_5", "", "USD", 535, ""},
		{"re_ch_0_4", "usd", "", 100, "usd"},
		{"re_ch_0_4", "usd", "EUR", 100, "nothing"},
	} {
		w := newWorld(t, fpromtest.Company{}, 1, 20, "USD")
		o := w.options(t)
		box := w.outbox(t)
		for i, e := range box.Events {
			if strings.HasSuffix(e.Key, ":"+c.id) {
				box.Events[i].Currency = c.outbox
			}
		}
		o.Outbox, o.Full = box, true
		w.fake.Lose(c.id)
		listed := reconcile.Sale{Event: fprom.Sale{EventID: c.id, Email: "c0.5@example.com", Amount: c.amount, Currency: c.listed}, At: monday}
		if strings.HasPrefix(c.id, "re_") {
			listed.Event = fprom.Refund{EventID: c.id, Email: "c0.4@example.com", Amount: c.amount, Currency: c.listed}
		}
		o.Sales = sold(listed)
		sent := "nothing"
		o.Redrive = func(_ context.Context, e fprom.Event) (fprom.Result, error) {
			switch e := e.(type) {
			case fprom.Sale:
				sent = strings.ToLower(e.Currency)
			case fprom.Refund:
				sent = strings.ToLower(e.Currency)
			}
			return fprom.Result{Outcome: fprom.Tracked}, nil
		}
		r, err := reconcile.Run(t.Context(), o)
		if err != nil || len(r.Missing) != 1 || sent != c.sent || (r.Redriven.NoCustomer == 1) != (c.sent == "nothing") {
			t.Errorf("%s, listed in %q: sent in %q, %+v %v", c.id, c.listed, sent, r.Redriven, err)
		}
	}
}

// A sale that FirstPromoter has under another event id is not sent again: it would earn a second commission. Such is each sale of a
// list in which another column has the event ids.
func TestRedriveUnderAnotherID(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	fake.AddPastSale(fpromtest.PastSale{EventID: "in_old", Email: "dan@example.com", Amount: 500, Currency: "USD", At: noon.AddDate(0, 0, -9)})
	for i, email := range []string{"ann@example.com", "bob@example.com", "cid@example.com", "dan@example.com"} {
		fake.AddPastSale(fpromtest.PastSale{EventID: fmt.Sprint("in_", i), Email: email, Amount: 500, Currency: "USD", At: noon})
	}
	client, err := firstpromoter.New(firstpromoter.Config{BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID})
	if err != nil {
		t.Fatal(err)
	}
	var sent []string
	r, err := reconcile.Run(t.Context(), reconcile.Options{
		Client: client, From: monday.AddDate(0, 0, -3), To: monday, Full: true,
		Sales: sold(
			reconcile.Sale{At: monday.AddDate(0, 0, -3), Event: fprom.Sale{EventID: "days apart", Email: "dan@example.com", Amount: 500, Currency: "USD"}},
			reconcile.Sale{At: monday, Event: fprom.Sale{EventID: "ch_0", Email: "Ann@example.com", Amount: 500, Currency: "USD"}},
			reconcile.Sale{At: monday, Event: fprom.Sale{EventID: "another amount", Email: "bob@example.com", Amount: 501, Currency: "USD"}},
			reconcile.Sale{At: monday.AddDate(0, 0, -4), Event: fprom.Sale{EventID: "days before", Email: "cid@example.com", Amount: 500, Currency: "USD"}},
			reconcile.Sale{At: monday, Event: fprom.Sale{EventID: "in_2", Email: "cid@example.com", Amount: 500, Currency: "USD"}},
		),
		Redrive: func(_ context.Context, e fprom.Event) (fprom.Result, error) {
			sent = append(sent, e.(fprom.Sale).EventID)
			return fprom.Result{Outcome: fprom.Tracked}, nil
		},
	})
	if err != nil || len(r.Missing) != 3 || r.OtherID != 1 || !slices.Equal(sent, []string{"days apart", "another amount"}) || !strings.Contains(fmt.Sprint(r.Advice()), "--map") {
		t.Errorf("%v sent; %+v %q %v", sent, r, r.Advice(), err)
	}
}

// The advice says of everything that differs what to do, and of what was sent again why it did not help.
func TestAdvice(t *testing.T) {
	t.Parallel()
	one := []reconcile.Entry{{EventID: "ch_1"}}
	for _, c := range []struct {
		name   string
		report reconcile.Report
		clean  bool
		want   []string // in this order, a line each
	}{
		{"clean", reconcile.Report{Denied: one}, true, nil},
		{"missing", reconcile.Report{Missing: one}, false, []string{"--redrive to send them again under their own event ids, so that nothing is paid twice. An outbox has erased the customers: it needs --sales FILE"}},
		{"under another id", reconcile.Report{Missing: one, OtherID: 1}, false, []string{"under other event ids"}},
		{"all is sent again", reconcile.Report{Missing: one, Redriven: &reconcile.Redriven{Tracked: 1}}, true, nil},
		{"an outbox alone", reconcile.Report{Missing: one, Redriven: &reconcile.Redriven{NoCustomer: 1}}, false, []string{"1 not sent again: the outbox erases a customer once an event is done, so it does not know whose sale it was. Add --sales FILE"}},
		{"one failed", reconcile.Report{Missing: one, Redriven: &reconcile.Redriven{Failed: 1, Reason: "no answer"}}, false, []string{"1 not sent again: no answer. Run it again"}},
		{"known", reconcile.Report{Missing: one, Redriven: &reconcile.Redriven{Duplicate: 1, NotReferral: 2}}, false, []string{"Ask its support", "fprom why"}},
		{"the rest", reconcile.Report{Foreign: one, AmountDiffers: one, Doubled: one}, false, []string{"1 foreign: another integration", "1 with another amount", "1 doubled: deny one"}},
	} {
		got := c.report.Advice()
		ok := len(got) == len(c.want) && c.report.Clean() == c.clean
		for i := 0; ok && i < len(got); i++ {
			ok = strings.Contains(got[i], c.want[i])
		}
		if !ok {
			t.Errorf("%s: clean %v, %q, want %v, %q", c.name, c.report.Clean(), got, c.clean, c.want)
		}
	}
}

// A refused key ends the sending: each further call would be refused too.
func TestRedriveStopsAtARefusedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 1, 20)
	o := w.options(t)
	o.Outbox, o.Full, o.Sales = w.outbox(t), true, w.list()
	w.fake.Lose("ch_0_5")
	w.fake.Lose("ch_0_6")
	calls := 0
	for _, c := range []struct {
		err     error
		calls   int
		failed  int
		unknown int
		stopped bool
	}{
		{fmt.Errorf("fprom: ch: %w", fprom.ErrUnauthorized), 1, 0, 0, true},
		{errors.New("fprom: ch: no answer"), 2, 2, 0, false},
		{nil, 2, 0, 2, false},
		{context.Canceled, 1, 1, 0, true}, // the end of ctx
	} {
		calls = 0
		ctx, cancel := context.WithCancel(t.Context())
		o.Redrive = func(context.Context, fprom.Event) (fprom.Result, error) {
			if calls++; errors.Is(c.err, context.Canceled) {
				cancel()
			}
			if c.failed > 1 {
				return fprom.Result{}, fmt.Errorf("%w %d", c.err, calls)
			}
			return fprom.Result{Outcome: fprom.NotReferral}, c.err
		}
		var last reconcile.Progress
		o.Progress = func(p reconcile.Progress) { last = p }
		r, err := reconcile.Run(ctx, o)
		cancel()
		if c.unknown > 0 && (last.Stage != "redrive" || last.Done != 2 || last.Total != 2) {
			t.Errorf("the last that is told is %+v", last)
		}
		if (err != nil) != c.stopped || calls != c.calls || r.Redriven.Failed != c.failed || r.Redriven.NotReferral != c.unknown || c.failed > 1 && r.Redriven.Reason != "ch: no answer 1" {
			t.Errorf("%v: %v after %d calls, %+v", c.err, err, calls, r.Redriven)
		}
	}
}

// The end of ctx ends the reading of a long list, too.
func TestInterruptedWhileReadingSales(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	o := newWorld(t, fpromtest.Company{}, 1, 1).options(t)
	read := 0
	o.Sales = func(yield func(reconcile.Sale, error) bool) {
		for read = 1; read < 5000 && yield(reconcile.Sale{ID: fmt.Sprint("ch_", read), At: monday}, nil); read++ {
			if read == 2499 {
				cancel()
			}
		}
	}
	box := &outboxtest.Outbox{}
	for i := range 1500 {
		box.Add(fprom.Entry{Key: fmt.Sprint("sale:ch_", i), Kind: fprom.KindSale, State: fprom.StateDone, RecordedAt: monday})
	}
	o.Outbox = box
	var steps []string
	o.Progress = func(p reconcile.Progress) { steps = append(steps, fmt.Sprint(p.Stage, " ", p.Done)) }
	if r, err := reconcile.Run(ctx, o); !errors.Is(err, context.Canceled) || read != 2500 || r.Calls != 0 || !slices.Equal(steps, []string{"outbox 1000", "sales 1000", "sales 2000"}) {
		t.Errorf("%v after %d sales and %d calls, %q", err, read, r.Calls, steps)
	}
}

// A report takes few calls, and its JSON is what the command line promises.
func TestCallsAndJSON(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fpromtest.Company{}, 1, 600)
		w.spoil(0)
		o := w.options(t)
		o.Outbox, o.Full = w.outbox(t), true
		var stages []string
		var reading []reconcile.Progress
		o.Progress = func(p reconcile.Progress) {
			if stages = append(stages, p.Stage); p.Stage == "commissions" {
				reading = append(reading, p)
			}
		}
		r, err := reconcile.Run(t.Context(), o)
		if err != nil || r.Calls > 12 || !slices.Contains(stages, "days") || !slices.Contains(stages, "commissions") || !slices.Contains(stages, "missing") {
			t.Errorf("%d calls, %v, %v", r.Calls, stages, err)
		}
		first, last := reading[0], reading[len(reading)-1]
		if left := 5 * time.Minute / 6000; first.Left < left || last.Left != 0 || first.Done != 0 || last.Done != last.Total || last.Total != len(r.Days) {
			t.Errorf("from %+v to %+v", first, last)
		}
		b, _ := json.Marshal(r)
		for _, want := range []string{
			`"days":[{"day":"2026-03-08","ours":0,"theirs":0,"read":true}`, `"matched":`, `"no_commission":`,
			`"foreign":[{"event_id":"in_native_0","kind":"sale","amount":612,"currency":"EUR","settled_at":"`, `"denied":[]`,
			`"missing":[{"event_id":"ch_0_`, `"amount_differs":[{"event_id":"ch_0_7"`, `"their_amount":99,`, `"commission_ids":[`,
		} {
			if !strings.Contains(string(b), want) {
				t.Errorf("no %s in %s", want, b)
			}
		}
		if strings.Contains(string(b), "@") || strings.Contains(string(b), fpromtest.PromoterSecret) {
			t.Error("personal data in the report")
		}
		b, _ = json.Marshal(reconcile.Report{})
		if strings.Contains(string(b), "redriven") {
			t.Errorf("%s", b)
		}
	})
}

// Whoever waits sees what goes on, also while the customers of a list are looked for: that takes a call each, or one for a
// hundred referrals.
func TestProgressOfCustomers(t *testing.T) {
	t.Parallel()
	for _, perDay := range []int{30, 600} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, fpromtest.Company{}, 1, perDay)
			w.spoil(0)
			o := w.options(t)
			o.Sales = w.list()
			calls, begin, end := 0, time.Duration(0), time.Duration(-1)
			o.Progress = func(p reconcile.Progress) {
				if p.Calls > calls+3 { // a page of commissions, the list of campaigns, a customer
					t.Errorf("%d calls without a word before %+v", p.Calls-calls, p)
				}
				if calls = p.Calls; p.Stage == "customers" {
					begin, end = max(begin, p.Left), p.Left
				}
			}
			if _, err := reconcile.Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if begin == 0 || end < 0 || end >= begin {
				t.Errorf("%d a day: at first %v left, at last %v", perDay, begin, end)
			}
		})
	}
}

// One event id with two amounts is one sale: the other payment was never tracked, and is named. A row that comes twice is none.
func TestOneIDWithTwoAmounts(t *testing.T) {
	t.Parallel()
	list := "event_id,email,amount,created_at\n" +
		"sub_1,ann@example.com,19.99,2026-03-09\nsub_1,ann@example.com,19.99,2026-03-09\nsub_1,ann@example.com,29.99,2026-03-10\nSUB_2,ann@example.com,1,2026-03-10\n"
	var refused []backfill.Row
	sales, err := reconcile.File(strings.NewReader(list), backfill.Format{Amount: backfill.Major}, func(r backfill.Row) { refused = append(refused, r) })
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for s, err := range sales {
		if err != nil {
			t.Fatal(err)
		}
		if s.Event != nil {
			n++
		}
	}
	if n != 3 || len(refused) != 1 || refused[0].Line != 4 || !errors.Is(refused[0].Err, fprom.ErrConflict) {
		t.Errorf("%d sales, refused %+v", n, refused)
	}
}

// Of a list, only what is compared stays in memory: a provider's export may have rows of a kilobyte.
func TestMemoryOfAList(t *testing.T) { //nolint:paralleltest // it measures the memory
	const rows, size = 10_000, 4 << 10
	list, write := io.Pipe()
	go func() {
		_, _ = io.WriteString(write, "event_id,email,uid,amount,currency,created_at,notes\n")
		for i := range rows {
			_, _ = fmt.Fprintf(write, "ch_%d,c%d@example.com,u%d,500,usd,2026-03-09,%s\n", i, i, i, strings.Repeat("x", size))
		}
		_ = write.Close()
	}()
	sales, err := reconcile.File(list, backfill.Format{Amount: backfill.Minor}, nil)
	if err != nil {
		t.Fatal(err)
	}
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, after := used(), uint64(0)
	_, err = reconcile.Run(t.Context(), reconcile.Options{
		Client: account{days: []string{`{"period":"2026-03-09","data":{"sales_count":10000}}`}}.client(t), From: monday, To: monday, Sales: sales,
		Progress: func(p reconcile.Progress) {
			if p.Stage == "days" {
				after = used()
			}
		},
	})
	if each := (after - before) / rows; err != nil || after < before || each > 1<<10 {
		t.Errorf("%d bytes a row, %v", each, err)
	}
}

// A provider's export, as it comes: only what was paid is expected. A commission for a failed payment or a free trial is too much.
func TestFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 1, 0)
	for _, id := range []string{"ch_1", "ch_3", "ch_4", "trial_2"} {
		w.fake.AddPastSale(fpromtest.PastSale{EventID: id, Email: "ann@example.com", Amount: 1999, Currency: "USD", At: monday.Add(12 * time.Hour)})
	}
	export := "id,Created date (UTC),Amount,Currency,Status,Customer Email\n" +
		"ch_1,2026-03-09 12:00:00,19.99,usd,Paid,ann@example.com\n" +
		"ch_2,2026-03-09 12:00:00,29.99,usd,Paid,ann@example.com\n" +
		"ch_3,2026-03-09 12:00:00,19.99,usd,Failed,ann@example.com\n" +
		"ch_5,2026-03-09 12:00:00,9.99,usd,Failed,ann@example.com\n" +
		",2026-03-09 12:00:00,9.99,usd,Paid,ann@example.com\n" +
		"ch_6,soon,9.99,usd,Paid,ann@example.com\n" +
		"trial_1,2026-03-09 12:00:00,0.00,usd,Paid,ann@example.com\n" +
		"trial_2,2026-03-09 12:00:00,0.00,usd,Paid,ann@example.com\n" // which earned something
	var refused []int
	sales, err := reconcile.File(strings.NewReader(export), backfill.Format{Amount: backfill.Major}, func(r backfill.Row) { refused = append(refused, r.Line) })
	if err != nil {
		t.Fatal(err)
	}
	o := w.options(t)
	o.Sales = sales
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || r.Matched != 1 || r.Waiting != 2 || !slices.Equal(refused, []int{4, 5, 6, 7, 8, 9}) {
		t.Errorf("%+v %v %v", r, refused, err)
	}
	found(t, r, []string{"ch_2"}, []string{"ch_4"}, []string{"ch_3", "trial_2"}, nil)
	broken := io.MultiReader(strings.NewReader(export), iotest.ErrReader(errFails))
	if sales, err = reconcile.File(broken, backfill.Format{Amount: backfill.Major}, nil); err != nil {
		t.Fatal(err)
	}
	if r, err := reconcile.Run(t.Context(), reconcile.Options{Client: o.Client, From: monday, To: monday, Sales: sales}); !errors.Is(err, errFails) || len(r.Days) > 0 {
		t.Errorf("of a file that breaks off: %+v %v", r, err)
	}
	if sales, err = reconcile.File(strings.NewReader(export), backfill.Format{Amount: backfill.Major}, nil); err != nil {
		t.Fatal(err)
	}
	for range sales {
		break // who has enough may stop
	}
	for _, header := range []string{"order_id,email,amount,created_at\n", "event_id,email,amount\n"} {
		if _, err := reconcile.File(strings.NewReader(header), backfill.Format{Amount: backfill.Major}, nil); err == nil {
			t.Errorf("a wrong header is taken: %s", header)
		}
	}
}

// An invoice is often paid at the second attempt. The failed attempt before it does not hide that the payment is missing.
func TestFailedAttemptBeforeThePayment(t *testing.T) {
	t.Parallel()
	export := "id,created,Amount,Currency,Status,Customer Email\n" +
		"in_1,2026-03-09 12:00:00,19.99,usd,Failed,ann@example.com\n" +
		"in_1,2026-03-09 13:00:00,19.99,usd,Paid,ann@example.com\n" +
		"in_1,2026-03-09 14:00:00,19.99,usd,Failed,ann@example.com\n" +
		"IN_1,2026-03-09 14:00:00,19.99,usd,Paid,ann@example.com\n" // another one
	sales, err := reconcile.File(strings.NewReader(export), backfill.Format{Amount: backfill.Major}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, fpromtest.Company{}, 1, 0)
	w.fake.AddPastSale(fpromtest.PastSale{EventID: "in_0", Email: "ann@example.com", Amount: 100, Currency: "USD", At: monday.AddDate(0, 0, -9)})
	o := w.options(t)
	o.Sales = sales
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || r.Waiting != 0 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"in_1", "IN_1"}, nil, nil, nil)
}

// Two uids that differ in case only are two customers: only the sale of the referred one is missing.
func TestUIDsThatDifferInCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 1, 0)
	w.fake.AddPastSale(fpromtest.PastSale{EventID: "in_0", UID: "aB1", Amount: 100, Currency: "USD", At: monday.AddDate(0, 0, -9)})
	o := w.options(t)
	var sales []reconcile.Sale
	for _, uid := range []string{"aB1", "Ab1"} {
		sales = append(sales, reconcile.Sale{At: monday, Event: fprom.Sale{EventID: "new_" + uid, UID: uid, Amount: 1900, Currency: "USD"}})
	}
	o.Sales = sold(sales...)
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || r.NotReferral != 1 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"new_aB1"}, nil, nil, nil)
}

// FirstPromoter finds a lead by the uid, too: a customer whose address has changed since the sign-up is still a referral. The
// sale of a lead that expired, was denied, or came after the sale is not missing.
func TestLeads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 1, 0)
	w.fake.AddPastSale(fpromtest.PastSale{EventID: "in_0", Email: "old@example.com", UID: "User-1", Amount: 100, Currency: "USD", At: monday.AddDate(0, 0, -9)})
	for _, state := range []string{"expired", "denied"} {
		w.fake.AddPastSale(fpromtest.PastSale{EventID: "in_" + state, Email: state + "@example.com", UID: state, Amount: 100, Currency: "USD", At: monday.AddDate(0, 0, -9)})
		w.fake.SetLeadState(state+"@example.com", state)
	}
	w.fake.AddLead("late@example.com", "late")
	o := w.options(t)
	o.Sales = func(yield func(reconcile.Sale, error) bool) {
		for _, uid := range []string{"User-1", "User-2", "expired", "denied", "late"} {
			if !yield(reconcile.Sale{At: monday, Event: fprom.Sale{EventID: "new_" + uid, Email: "new@example.com", UID: uid, Amount: 1900, Currency: "USD"}}, nil) {
				return
			}
		}
	}
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || r.NotReferral != 2 || r.NoCommission != 2 {
		t.Errorf("%+v %v", r, err)
	}
	found(t, r, []string{"new_User-1"}, nil, nil, nil)
}
