package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/figures"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/reconcile"
)

// A service compares every night, and says what it found.
func TestNightly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads())
		box, err := boltqueue.Open(filepath.Join(t.TempDir(), "fprom.db"), boltqueue.WithoutSocket())
		if err != nil {
			t.Fatal(err)
		}
		cfg := fake.Config()
		cfg.Queue = box
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		client, err := firstpromoter.New(firstpromoter.Config{BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID, HTTPClient: cfg.HTTPClient})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		var nights []reconcile.Report
		n := &reconcile.Nightly{Client: client, Outbox: box, Logger: slog.New(slog.NewTextHandler(&log, nil)), Done: func(r reconcile.Report, err error) {
			if err != nil {
				t.Error(err)
			}
			nights = append(nights, r)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		for _, id := range []string{"ch_1", "ch_2"} {
			if err := tracker.Enqueue(t.Context(), fprom.Sale{EventID: id, Email: id + "@example.com", Amount: 100}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(28 * time.Hour)
		synctest.Wait()
		if got := n.Last(); len(nights) != 3 || !got.Report.Clean() || got.Err != nil || got.Report.Matched != 2 || log.Len() > 0 {
			t.Fatalf("%d nights, %+v, %s", len(nights), got, log.String())
		}
		days, yesterday := n.Last().Report.Days, time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
		if len(days) != 7 || days[6].Day != yesterday {
			t.Errorf("%+v, want seven until %s", days, yesterday)
		}
		fake.Lose("ch_2")
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := n.Last(); len(nights) != 4 || len(got.Report.Missing) != 1 || !strings.Contains(log.String(), "missing=1") {
			t.Errorf("%d nights, %+v, %s", len(nights), got, log.String())
		}
		at, differences, err := n.Figures()
		if keys := slices.Sorted(maps.Keys(differences)); err != nil || at != n.Last().At || differences["missing"] != 1 || !slices.Equal(keys, slices.Sorted(slices.Values(figures.Verdicts))) {
			t.Errorf("%v %v %v, want those that are exported as metrics", at, differences, err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The time and the days are those of the fields. A comparison that is interrupted is none; one that fails is logged.
func TestNightlyFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(n *reconcile.Nightly, cfg *firstpromoter.Config, cancel func())
		want   error // nil: a *fprom.ValidationError
		last   time.Time
		log    string
		logged int
	}{
		{"the sixth hour, two days", func(n *reconcile.Nightly, _ *firstpromoter.Config, _ func()) { n.At, n.Days = 5*time.Hour, 2 }, context.DeadlineExceeded, firstOfTheBubble.Add(29 * time.Hour), "", 0},
		{"before midnight", func(n *reconcile.Nightly, _ *firstpromoter.Config, _ func()) { n.At = -time.Hour }, nil, time.Time{}, "", 0},
		{"the next midnight", func(n *reconcile.Nightly, _ *firstpromoter.Config, _ func()) { n.At = 24 * time.Hour }, nil, time.Time{}, "", 0},
		{"less than no day", func(n *reconcile.Nightly, _ *firstpromoter.Config, _ func()) { n.Days = -1 }, nil, time.Time{}, "", 0},
		{"interrupted", func(_ *reconcile.Nightly, cfg *firstpromoter.Config, cancel func()) {
			cfg.Admit = func(context.Context) error { cancel(); return nil }
		}, context.Canceled, time.Time{}, "", 0},
		{"a refused key", func(_ *reconcile.Nightly, cfg *firstpromoter.Config, _ func()) { cfg.APIKey = "another" }, context.DeadlineExceeded, firstOfTheBubble.Add(27 * time.Hour), "the nightly comparison with FirstPromoter failed", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := fpromtest.NewServer(t, fpromtest.InMemory())
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Hour)
				defer cancel()
				var log bytes.Buffer
				n := &reconcile.Nightly{Outbox: &outboxtest.Outbox{}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
				cfg := firstpromoter.Config{BaseURL: fake.URL, APIKey: fake.APIKey, AccountID: fake.AccountID, HTTPClient: fake.Config().HTTPClient}
				c.change(n, &cfg, cancel)
				client, err := firstpromoter.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				n.Client = client
				err = n.Run(ctx)
				if _, invalid := errors.AsType[*fprom.ValidationError](err); !errors.Is(err, c.want) && (c.want != nil || !invalid) {
					t.Error(err)
				}
				last := n.Last()
				if at := last.At.Truncate(time.Minute); !at.Equal(c.last) || n.Days == 2 && len(last.Report.Days) != 2 {
					t.Errorf("the last one was %v, with %d days", last.At, len(last.Report.Days))
				}
				if strings.Count(log.String(), "level=") != c.logged || !strings.Contains(log.String(), c.log) {
					t.Errorf("logged:\n%s", log.String())
				}
			})
		})
	}
}

// firstOfTheBubble is when a synctest bubble begins.
var firstOfTheBubble = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// What somebody deleted on purpose is not missing, and what was decided is told also of days whose totals agree.
func TestWhatSomebodyDecided(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		spoil   func(*fpromtest.Server)
		missing []string
		read    bool
	}{
		{"a day that differs", func(f *fpromtest.Server) {
			f.Lose("ch_0_5")
			f.Lose("ch_0_6")
			f.Deny("ch_0_7")
			f.Deny("ch_0_11")
			f.Deny("ch_0_21")
		}, []string{"ch_0_6"}, true},
		{"a day that agrees", func(*fpromtest.Server) {}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fpromtest.Company{}, 1, 30)
			o := w.options(t)
			o.Outbox = w.outbox(t)
			decisions := map[string][]string{
				"ch_0_5": {"deleted"}, "ch_0_7": {"denied"}, "ch_0_8": {"approved"},
				"ch_0_1":  {"deleted", ""},       // what happened to one of two is no decision on the sale
				"ch_0_11": {"denied", "deleted"}, // the denied one is still there
				"ch_0_21": {"deleted", "denied"},
			}
			decided, next := map[int64]string{}, maps.Clone(decisions)
			for _, c := range w.fake.Commissions() {
				if left := next[c.EventID]; len(left) > 0 {
					decided[c.ID], next[c.EventID] = left[0], left[1:]
				}
			}
			o.Decided = func(id int64) string { return decided[id] }
			c.spoil(w.fake)
			r, err := reconcile.Run(t.Context(), o)
			if got := ids(r.Denied); err != nil || !slices.Equal(got, []string{"ch_0_11", "ch_0_21", "ch_0_5", "ch_0_7"}) || r.Days[1].Read != c.read {
				t.Errorf("%+v %v", r, err)
			}
			if n := r.Matched + r.NoCommission + r.NotReferral + len(r.Missing); n != len(w.sales)-1 { // without the deleted one
				t.Errorf("%d verdicts for %d events", n, len(w.sales)-1)
			}
			for _, e := range r.Denied {
				if len(e.CommissionIDs) == 0 {
					t.Errorf("of which commissions? %+v", e)
				}
				want := "denied"
				if e.EventID == "ch_0_5" {
					want = "deleted"
				}
				if e.Status != want {
					t.Errorf("%+v, want %s", e, want)
				}
			}
			found(t, r, c.missing, nil, nil, nil)
		})
	}
}
