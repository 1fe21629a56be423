package riverqueue_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestHistoryOfAllTime: a time that is too long for its step is an error, however long it is.
func TestHistoryOfAllTime(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{Schema: newSchema(t)})
	if bs, err := q.History(t.Context(), time.Time{}, time.Now(), time.Hour); err == nil {
		t.Errorf("%d buckets and no error: nothing would be taken for the whole", len(bs))
	}
}

// TestLimitCountsWhatIsChanged: Filter.Limit of Redrive is about what is redriven: dead letters whose customer is forgotten
// cannot be.
func TestLimitCountsWhatIsChanged(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{Schema: newSchema(t)})
	put(t, q, sale("1", "ann", 100), sale("2", "ben", 100))
	rejectAll(t, q)
	if _, err := q.Forget(t.Context(), "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	if n, err := q.Redrive(t.Context(), fprom.Filter{Limit: 1}); n != 1 || err != nil {
		t.Errorf("Redrive of one: %d, %v", n, err)
	}
}

// TestRedriveWithoutJob: what is redriven comes after what waits already, also if its job is lost.
func TestRedriveWithoutJob(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	q, pool := open(t, cfg)
	old := message(t, sale("old", "ann", 100))
	old.RecordedAt = time.Now().Add(-48 * time.Hour)
	if err := q.Put(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	rejectAll(t, q)
	put(t, q, sale("1", "ben", 100), sale("2", "cid", 100))
	if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
		t.Fatalf("Redrive: %d, %v", n, err)
	}
	execSQL(t, pool, `DELETE FROM `+cfg.Schema+`.river_job`)
	var r record
	startWith(t, q, 1, r.deliver)
	flush(t, q)
	if last := r.calls[len(r.calls)-1].Key; last != "sale:old" {
		t.Errorf("%s came last, want the redriven one", last)
	}
}

// TestForgetBesideOthers: Forget erases a customer although the event gets its outcome, or is put again, at the same moment.
func TestForgetBesideOthers(t *testing.T) {
	t.Parallel()
	customerOf := func(t *testing.T, pool *pgxpool.Pool, schema string) (c string) {
		t.Helper()
		if err := pool.QueryRow(t.Context(), `SELECT customer FROM `+schema+`.fprom_ledger`).Scan(&c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	rejected := func(context.Context, fprom.Message) error { return errRejected }
	t.Run("outcome", func(t *testing.T) {
		t.Parallel()
		cfg := riverqueue.Config{Schema: newSchema(t)}
		q, pool := open(t, cfg)
		put(t, q, sale("1", "ann", 100))
		release := make(chan func(), 1)
		start(t, q, func(context.Context, fprom.Message) error {
			release <- hold(t, pool, cfg.Schema, "sale:1")
			return errRejected
		})
		free := <-release
		waiters(t, pool, cfg.Schema, 1)
		forgot := make(chan error, 1)
		go func() { _, err := q.Forget(t.Context(), "ann@example.com"); forgot <- err }()
		waiters(t, pool, cfg.Schema, 2)
		free()
		if err := <-forgot; err != nil {
			t.Fatal(err)
		}
		flush(t, q)
		if c := customerOf(t, pool, cfg.Schema); c != "" {
			t.Errorf("the dead letter still has its customer %s", c)
		}
	})
	t.Run("put again", func(t *testing.T) {
		t.Parallel()
		cfg := riverqueue.Config{Schema: newSchema(t)}
		q, pool := open(t, cfg)
		put(t, q, sale("1", "ann", 100))
		rejectAll(t, q)
		forgot := make(chan error, 1)
		if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			if err := q.EnqueueTx(t.Context(), tx, sale("1", "ann", 100)); err != nil {
				return err
			}
			go func() { _, err := q.Forget(t.Context(), "ann@example.com"); forgot <- err }()
			waiters(t, pool, cfg.Schema, 1)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := <-forgot; err != nil {
			t.Fatal(err)
		}
		start(t, q, rejected)
		flush(t, q)
		if c := customerOf(t, pool, cfg.Schema); c != "" {
			t.Errorf("the dead letter still has its customer %s", c)
		}
	})
}

// TestBesideEnqueueTx: a redrive, or Forget, does not deadlock with a transaction that puts the same dead letters again, which
// would be the caller's loss.
func TestBesideEnqueueTx(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, held string // what both wait for at first
		do         func(context.Context, *riverqueue.Queue) (int, error)
	}{
		{"Redrive", "sale:2", func(ctx context.Context, q *riverqueue.Queue) (int, error) { return q.Redrive(ctx, fprom.Filter{}) }},
		{"Forget", "sale:1", func(ctx context.Context, q *riverqueue.Queue) (int, error) { return q.Forget(ctx, "ann@example.com") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := open(t, cfg)
			put(t, q, sale("2", "ann", 100), sale("1", "ann", 100))
			rejectAll(t, q)
			free := hold(t, pool, cfg.Schema, tt.held)
			done, stored := make(chan error, 1), make(chan error, 1)
			store := func() {
				stored <- pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
					return q.EnqueueTx(t.Context(), tx, sale("1", "ann", 100), sale("2", "ann", 100))
				})
			}
			do := func() { _, err := tt.do(t.Context(), q); done <- err }
			first, second := do, store
			if tt.held == "sale:1" {
				first, second = store, do
			}
			begun := func(n int) { // they have ended, or have one row and wait for the other
				t.Helper()
				waitFor(t, "the calls to begin", func() bool { return len(done)+len(stored)+waiting(t, pool, cfg.Schema) == n })
			}
			go first()
			begun(1)
			go second()
			begun(2)
			free()
			if err := errors.Join(<-done, <-stored); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestForgetBesideALongTransaction: while Forget waits for a caller's transaction that puts a dead letter again, it holds up no other event
// of the customer, and with it no worker.
func TestForgetBesideALongTransaction(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("2", "ann", 100))
	rejectAll(t, q)
	put(t, q, sale("1", "ann", 100))
	forgot := make(chan error, 1)
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if err := q.EnqueueTx(t.Context(), tx, sale("2", "ann", 100)); err != nil {
			return err
		}
		go func() { _, err := q.Forget(t.Context(), "ann@example.com"); forgot <- err }()
		waiters(t, pool, cfg.Schema, 1)
		startWith(t, q, 1, func(_ context.Context, m fprom.Message) error {
			if m.Key == "sale:2" {
				return errRejected
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // less would do, and more than a claim waits for a lock
		defer cancel()
		return q.Flush(ctx)
	}); err != nil {
		t.Errorf("the event that waits is not delivered: %v", err)
	}
	if err := <-forgot; err != nil {
		t.Error(err)
	}
	flush(t, q)
	if es := entriesOf(t, q, fprom.Filter{Personal: true}); len(es) != 2 || es[1].State != fprom.StateDead || es[1].Customer != "" {
		t.Errorf("entries: %+v, want the second dead, without its customer", es)
	}
}

// TestForgetBesideBulk: Forget does not deadlock with a live event that makes the earlier bulk events of its customer live.
func TestForgetBesideBulk(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	for _, id := range []string{"3", "2", "1"} {
		m := message(t, sale(id, "ann", 100))
		m.Bulk = true
		if err := q.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	put(t, q, sale("4", "ann", 100))
	free := hold(t, pool, cfg.Schema, "sale:2")
	done := make(chan error, 2)
	go func() { _, err := q.Forget(t.Context(), "ann@example.com"); done <- err }()
	go func() {
		_, err := pool.Exec(t.Context(), `SELECT 1 FROM "`+cfg.Schema+`".fprom_claim('sale:4', 60, false)`)
		done <- err
	}()
	waiters(t, pool, cfg.Schema, 2)
	free()
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
	if waiting := entriesOf(t, q, fprom.Filter{State: fprom.StateWaiting}); len(waiting) != 4 || waiting[0].Bulk {
		t.Errorf("entries: %+v, want the bulk events live", waiting)
	}
}

// TestRefundWaitsForItsSale: a refund that names a waiting sale is held, also by a process that never saw the sale.
func TestRefundWaitsForItsSale(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithAllLeads())
	trackers, queues := fleet(t, 2, fake, nil)
	enqueue(t, trackers[0], fprom.Sale{EventID: "done", Email: "ann@example.com", Amount: 100})
	flush(t, queues[0])
	fake.Inject(fpromtest.Status(http.StatusInternalServerError).OnKind(fprom.KindSale).OnEvent("s"))
	enqueue(t, trackers[0], fprom.Sale{EventID: "s", Email: "ann@example.com", Amount: 100})
	enqueue(t, trackers[1], fprom.Refund{EventID: "early", UID: "ann", Amount: 100, SaleEventID: "s"},
		fprom.Refund{EventID: "r", UID: "ann", Amount: 100, SaleEventID: "done"})
	waitFor(t, "the later refund", func() bool {
		done := entriesOf(t, queues[0], fprom.Filter{Kind: fprom.KindRefund, State: fprom.StateDone})
		return len(done) == 1 && done[0].Key == "refund:r"
	})
	if held := entriesOf(t, queues[1], fprom.Filter{Keys: []string{"early"}, Kind: fprom.KindRefund, State: fprom.StateWaiting, Reason: "no outcome yet"}); len(held) != 1 || held[0].Attempts != 0 {
		t.Errorf("held: %+v", held)
	}
}
