package reconcile_test

import (
	"context"
	"errors"
	"iter"
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

var errFails = errors.New("it fails")

// failingOutbox cannot be read at one of its readings.
type failingOutbox struct {
	*outboxtest.Outbox
	reads, at int
}

func (f *failingOutbox) Entries(ctx context.Context, filter fprom.Filter) iter.Seq2[fprom.Entry, error] {
	if f.reads++; f.reads == f.at {
		return func(yield func(fprom.Entry, error) bool) { yield(fprom.Entry{}, errFails) }
	}
	return f.Outbox.Entries(ctx, filter)
}

// Whichever call or reading fails, Run says so and sends nothing again. Together with a run from the day that it names it is the whole.
func TestAnyStepFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		days int
		list bool
		step func(*reconcile.Options, *firstpromoter.Config, int) func() bool // lets the n-th step fail, and says whether there was one
	}{
		"a call, with an outbox":          {15, false, failingCall},
		"a call, with a list":             {15, true, failingCall},
		"a call for one of a few, a list": {1, true, failingCall},
		"a reading of the outbox":         {15, false, failingReading},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, fpromtest.Company{}, c.days, 26)
				w.spoil(0)
				if c.days > 1 {
					w.spoil(c.days - 1)
				}
				for id, from := range map[string]fprom.Sale{"by ref": {RefID: "nobody"}, "by code": {PromoCode: "NONE"}} {
					from.EventID, from.Email, from.Amount = id, id[3:]+"@else.test", 500
					w.record(from, monday.Add(time.Hour))
				}
				o := w.options(t)
				if o.Full = true; c.list {
					o.Sales = w.list()
				} else {
					o.Outbox = w.outbox(t)
				}
				whole, err := reconcile.Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				for n := 1; ; n++ {
					failing, sent := o, 0
					var failed func() bool
					failing.Client = w.client(t, func(cfg *firstpromoter.Config) { failed = c.step(&failing, cfg, n) })
					failing.Redrive = func(context.Context, fprom.Event) (fprom.Result, error) { sent++; return fprom.Result{}, nil }
					one, err := reconcile.Run(t.Context(), failing)
					if !failed() {
						break
					}
					if !errors.Is(err, errFails) || sent > 0 {
						t.Fatalf("step %d: %v, %d sent", n, err, sent)
					}
					if len(one.Days) == 0 && one.Next == "" { // before the first day
						continue
					}
					rest := o
					if rest.From, err = time.Parse(time.DateOnly, one.Next); err != nil {
						t.Fatal(err)
					}
					two, err := reconcile.Run(t.Context(), rest)
					if err != nil || one.Matched+two.Matched != whole.Matched || one.NotReferral+two.NotReferral != whole.NotReferral || one.NoCommission+two.NoCommission != whole.NoCommission {
						t.Errorf("step %d: %d and %d matched, %v", n, one.Matched, two.Matched, err)
					}
					two.Foreign, two.Doubled = append(one.Foreign, two.Foreign...), append(one.Doubled, two.Doubled...)
					two.Missing, two.AmountDiffers = append(one.Missing, two.Missing...), append(one.AmountDiffers, two.AmountDiffers...)
					found(t, two, ids(whole.Missing), w.foreign, w.differs, w.doubled)
				}
			})
		})
	}
}

func failingCall(_ *reconcile.Options, cfg *firstpromoter.Config, n int) func() bool {
	calls := 0
	cfg.Admit = func(context.Context) error {
		if calls++; calls == n {
			return errFails
		}
		return nil
	}
	return func() bool { return calls >= n }
}

func failingReading(o *reconcile.Options, _ *firstpromoter.Config, n int) func() bool {
	box, _ := o.Outbox.(*outboxtest.Outbox)
	failing := &failingOutbox{Outbox: box, at: n}
	o.Outbox = failing
	return func() bool { return failing.reads >= n }
}

// Whichever call or reading fails, Why gives no verdict: what it did not see may be the reason. Only what the outbox adds to a verdict may fail.
func TestWhyFails(t *testing.T) {
	t.Parallel()
	s := fpromtest.NewServer(t, fpromtest.InMemory())
	s.AddLead("ann@example.com")
	for _, c := range []struct {
		what  string
		box   *outboxtest.Outbox
		step  func(*reconcile.Options, *firstpromoter.Config, int) func() bool
		steps int
	}{
		{"ann@example.com", nil, failingCall, 3},
		{"nobody", nil, failingCall, 2},
		{"ch_1", &outboxtest.Outbox{Events: []fprom.Entry{{Key: "sale:ch_1", Kind: fprom.KindSale, State: fprom.StateDone}}}, failingCall, 1},
		{"nobody", &outboxtest.Outbox{}, failingReading, 2},
	} {
		why := func(n int) (reconcile.Reason, error) {
			var o reconcile.Options
			if c.box != nil {
				o.Outbox = c.box
			}
			client := (&world{fake: s}).client(t, func(cfg *firstpromoter.Config) { c.step(&o, cfg, n) })
			return reconcile.Why(t.Context(), client, o.Outbox, c.what)
		}
		for n := 1; n <= c.steps; n++ {
			if r, err := why(n); !errors.Is(err, errFails) || r.Verdict != "" {
				t.Errorf("%s, step %d: %+v %v", c.what, n, r, err)
			}
		}
		r, err := why(c.steps + 1)
		if failed := strings.Contains(r.Detail, "The outbox could not be read: it fails"); err != nil || r.Verdict == "" || c.what == "nobody" && c.box == nil && !strings.Contains(r.Detail, "no lead by this uid, and no commission by this event id") || failed != (c.box != nil && c.what == "nobody") {
			t.Errorf("%s: %+v %v", c.what, r, err)
		}
	}
}
