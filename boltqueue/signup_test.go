package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

// TestSignupThatFailsInEachProcess: no process lives for the day after which it would give up a sign-up that always fails. All the
// same the sales of its customer are sent after a week.
func TestSignupThatFailsInEachProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, dir := fpromtest.NewServer(t, fpromtest.InMemory()), t.TempDir()
		server.Inject(fpromtest.Status(500).OnKind(fprom.KindSignup))
		for process := range 10 {
			cfg := server.Config()
			cfg.Queue, cfg.Logger, cfg.Retry.Base = open(t, dir), slog.New(slog.DiscardHandler), 10*time.Minute
			tracker, err := fprom.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			enqueue := func(events ...fprom.Event) {
				if err := tracker.Enqueue(t.Context(), events...); err != nil {
					t.Error(err)
				}
			}
			if process == 0 {
				enqueue(fprom.Signup{Email: "ann@example.com", RefID: fpromtest.DefaultRefID}, fprom.Sale{EventID: "ann", Email: "ann@example.com", Amount: 100, RefID: fpromtest.DefaultRefID})
			}
			for hour := range 20 {
				enqueue(fprom.Sale{EventID: fmt.Sprint(process, "_", hour), Email: "bob@example.com", Amount: 100})
				time.Sleep(time.Hour)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := tracker.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			cancel()
			if n := len(server.Commissions()); n > 0 && process < 8 || n == 0 && process == 9 {
				t.Errorf("%d commissions after process %d", n, process)
			}
		}
	})
}

// TestRefundAfterARestart: a refund waits for its sale that was set aside, although the new process has not tried the sale.
func TestRefundAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, dir := fpromtest.NewServer(t, fpromtest.InMemory()), t.TempDir()
		server.Inject(fpromtest.Status(500).OnKind(fprom.KindSale).OnEvent("ann@example.com's").For(130 * time.Minute))
		for process := range 2 {
			cfg := server.Config()
			cfg.Queue, cfg.Logger = open(t, dir), slog.New(slog.DiscardHandler)
			tracker, err := fprom.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for minute := range 120 {
				events := []fprom.Event{fprom.Sale{EventID: fmt.Sprint(process, "_", minute), Email: "bob@example.com", Amount: 100}}
				if process == 0 && minute == 0 {
					events = append(events, fprom.Sale{EventID: "ann@example.com's", Email: "ann@example.com", Amount: 100, RefID: fpromtest.DefaultRefID},
						fprom.Refund{EventID: "ann@example.com's", Email: "ann@example.com", Amount: 100, SaleEventID: "ann@example.com's"})
				}
				if err := tracker.Enqueue(t.Context(), events...); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := tracker.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			cancel()
			if n := len(server.Commissions()); n != 2*process {
				t.Errorf("%d commissions after process %d, want %d", n, process, 2*process)
			}
		}
	})
}

// TestRefundBeforeItsSale: the webhook of a sale may come after that of its refund. The refund is sent again, and takes the
// commission back. So it is if the sale is a dead letter, which an operator may redrive. A refund is sent once if its sale is done,
// and was no referral, or still waits: then the refund follows it, whatever names the customer.
func TestRefundBeforeItsSale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, q := fpromtest.NewServer(t, fpromtest.InMemory()), open(t, t.TempDir())
		server.Inject(fpromtest.Status(400).OnEvent("dead").Times(1), fpromtest.Status(500).OnEvent("slow").For(10*time.Minute))
		cfg := server.Config()
		cfg.Queue, cfg.Logger = q, slog.New(slog.DiscardHandler)
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []fprom.Event{
			fprom.Sale{EventID: "dead", Email: "dan@example.com", Amount: 100, RefID: fpromtest.DefaultRefID},
			fprom.Refund{EventID: "of the dead", Email: "dan@example.com", Amount: 100, SaleEventID: "dead"},
			fprom.Sale{EventID: "slow", Email: "eve@example.com", UID: "eve", Amount: 100, RefID: fpromtest.DefaultRefID},
			fprom.Refund{EventID: "of the slow", UID: "eve", Amount: 100, SaleEventID: "slow"},
			fprom.Sale{EventID: "nobody's", Email: "bob@example.com", Amount: 100},
			fprom.Refund{EventID: "nobody's", Email: "bob@example.com", Amount: 100, SaleEventID: "nobody's"},
			fprom.Refund{EventID: "early", Email: "ann@example.com", Amount: 100, SaleEventID: "late"},
			fprom.Sale{EventID: "late", Email: "ann@example.com", Amount: 100, RefID: fpromtest.DefaultRefID},
		} {
			if err := tracker.Enqueue(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
		}
		if n := len(server.Commissions()); n != 2 {
			t.Errorf("%d commissions, want that of the sale and that of its refund", n)
		}
		if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
			t.Errorf("%d dead letters, %v", n, err)
		}
		time.Sleep(2 * time.Hour)
		for _, refund := range []string{"nobody's", "of the slow"} {
			if n := server.Count(fprom.KindRefund, refund); n != 1 {
				t.Errorf("the refund %s was sent %d times", refund, n)
			}
		}
		if n := len(server.Commissions()); n != 6 {
			t.Errorf("%d commissions, want those of three sales and of their refunds", n)
		}
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// blindQueue is an outbox that cannot say what waits.
type blindQueue struct {
	*boltqueue.Queue
	fail func() error
}

func (q blindQueue) Entries(context.Context, fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) { yield(fprom.Entry{}, q.fail()) }
}

// TestRefundOfABlindOutbox: a refund whose sale cannot be looked up says why it waits, and blocks no customer.
func TestRefundOfABlindOutbox(t *testing.T) {
	t.Parallel()
	for reason, fail := range map[string]func() error{
		"no such table": func() error { return errors.New("no such table") },
		"panic":         func() error { panic("no such table") },
	} {
		t.Run(reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, q := fpromtest.NewServer(t, fpromtest.InMemory(), fpromtest.WithAllLeads()), open(t, t.TempDir())
				cfg := server.Config()
				cfg.Queue, cfg.Logger = blindQueue{q, fail}, slog.New(slog.DiscardHandler)
				tracker, err := fprom.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				if err := tracker.Enqueue(t.Context(), fprom.Refund{EventID: "r", UID: "ann", Amount: 100, SaleEventID: "s"},
					fprom.Sale{EventID: "later", UID: "ann", Amount: 100}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Minute)
				for e, err := range q.Entries(t.Context(), fprom.Filter{State: fprom.StateWaiting}) {
					if err != nil || e.Kind != fprom.KindRefund || !strings.Contains(e.Reason, reason) {
						t.Errorf("waits: %+v, %v; want only the refund, because of %q", e, err, reason)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_ = tracker.Shutdown(ctx)
			})
		})
	}
}
