package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
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

// A second commission that comes weeks later is found too.
func TestDoubledWeeksLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 40, 10)
	w.fake.AddPastSale(fpromtest.PastSale{EventID: "ch_2_6", Email: "c2.6@example.com", Amount: 542, Currency: "USD", At: monday.AddDate(0, 0, 30)})
	o := w.options(t)
	o.Outbox, o.Full = w.outbox(t), true
	o.Outbox = w.outbox(t)
	r, err := reconcile.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found(t, r, nil, nil, nil, []string{"ch_2_6"})
}

// An interruption leaves a report of the days before, and the day to go on from; both together are the whole.
func TestInterruption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fpromtest.Company{}, 40, 40)
		for _, d := range []int{2, 20, 38} {
			w.spoil(d)
		}
		o := w.options(t)
		o.Outbox, o.Full = w.outbox(t), true
		whole, err := reconcile.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		found(t, whole, w.missing, w.foreign, w.differs, w.doubled)
		for _, after := range []int{0, 3, 9, 14} {
			ctx, cancel := context.WithCancel(t.Context())
			o.Progress = func(p reconcile.Progress) {
				if p.Stage == "commissions" && p.Rows >= 100*after {
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
				w := newWorld(t, fpromtest.Company{}, 30, 40)
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
		"days in disorder": {func(o *reconcile.Options) { o.To = o.From.AddDate(0, 0, -1) }, "Options.To"},
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

// What is missing is sent again under its own event id, once, and only if that is asked for.
func TestRedrive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*world, *reconcile.Options)
		want   reconcile.Redriven
	}{
		{"a list of sales", func(w *world, o *reconcile.Options) { o.Outbox, o.Sales = nil, w.list() }, reconcile.Redriven{Tracked: 2, Duplicate: 1}},
		{"an outbox and a list for the customers", func(w *world, o *reconcile.Options) { o.Sales = w.list() }, reconcile.Redriven{Tracked: 2, Duplicate: 1}},
		{"an outbox alone", func(*world, *reconcile.Options) {}, reconcile.Redriven{NoCustomer: 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fpromtest.Company{}, 3, 20)
				o := w.options(t)
				o.Outbox, o.Full = w.outbox(t), true
				for _, id := range []string{"ch_2_5", "ch_2_15"} {
					w.fake.Forget(id)
				}
				w.fake.Lose("ch_2_6")
				c.change(w, &o)
				if r, err := reconcile.Run(t.Context(), o); err != nil || len(r.Missing) != 3 || r.Redriven != nil || w.fake.Count("sale", "") != 0 {
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

// A report takes few calls, and its JSON is what the command line promises.
func TestCallsAndJSON(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, fpromtest.Company{}, 1, 600)
		w.spoil(0)
		o := w.options(t)
		o.Outbox, o.Full = w.outbox(t), true
		var stages []string
		o.Progress = func(p reconcile.Progress) { stages = append(stages, p.Stage) }
		r, err := reconcile.Run(t.Context(), o)
		if err != nil || r.Calls > 12 || !slices.Contains(stages, "days") || !slices.Contains(stages, "commissions") || !slices.Contains(stages, "missing") {
			t.Errorf("%d calls, %v, %v", r.Calls, stages, err)
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

// A provider's export, as it comes: only what was paid is expected, and what was not is not foreign.
func TestFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fpromtest.Company{}, 1, 0)
	for _, id := range []string{"ch_1", "ch_3", "ch_4"} {
		w.fake.AddPastSale(fpromtest.PastSale{EventID: id, Email: "ann@example.com", Amount: 1999, Currency: "USD", At: monday.Add(12 * time.Hour)})
	}
	export := "id,Created date (UTC),Amount,Currency,Status,Customer Email\n" +
		"ch_1,2026-03-09 12:00:00,19.99,usd,Paid,ann@example.com\n" +
		"ch_2,2026-03-09 12:00:00,29.99,usd,Paid,ann@example.com\n" +
		"ch_3,2026-03-09 12:00:00,19.99,usd,Failed,ann@example.com\n" +
		"ch_5,2026-03-09 12:00:00,9.99,usd,Failed,ann@example.com\n"
	var refused []int
	sales, err := reconcile.File(strings.NewReader(export), backfill.Format{Amount: backfill.Major}, func(r backfill.Row) { refused = append(refused, r.Line) })
	if err != nil {
		t.Fatal(err)
	}
	o := w.options(t)
	o.Sales = sales
	r, err := reconcile.Run(t.Context(), o)
	if err != nil || r.Matched != 1 || !slices.Equal(refused, []int{4, 5}) {
		t.Errorf("%+v %v %v", r, refused, err)
	}
	found(t, r, []string{"ch_2"}, []string{"ch_4"}, nil, nil)
	if _, err := reconcile.File(strings.NewReader("order_id,email,amount\n"), backfill.Format{Amount: backfill.Major}, nil); err == nil {
		t.Error("a wrong header is taken")
	}
}
