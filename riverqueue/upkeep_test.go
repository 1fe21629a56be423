package riverqueue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

const patience = 30 * time.Second

// start runs q until the test ends.
func start(t *testing.T, q *riverqueue.Queue, deliver func(context.Context, fprom.Message) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- runQueue(ctx, q, deliver) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func put(t *testing.T, q *riverqueue.Queue, events ...fprom.Event) {
	t.Helper()
	for _, e := range events {
		if err := q.Put(t.Context(), message(t, e)); err != nil {
			t.Fatal(err)
		}
	}
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// record is a deliver that notes keys; answer may be nil.
type record struct {
	mu     sync.Mutex
	keys   []string
	answer func(fprom.Message) error
}

func (r *record) deliver(_ context.Context, m fprom.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, m.Key)
	if r.answer != nil {
		return r.answer(m)
	}
	return nil
}

func (r *record) count(key string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		if k == key {
			n++
		}
	}
	return n
}

func execSQL(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestTakeOver: what a silent replica had in hand, and what got lost on the way to a living one, is delivered; what a
// living one has in hand is left to it.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t), Lease: time.Second}
	q, pool := open(t, cfg)
	put(t, q, sale("silent", "ann", 100), sale("unknown", "ben", 100), sale("living", "cid", 100))
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_replica VALUES ('silent', now() - interval '1 minute'), ('living', now() + interval '1 hour')`)
	inHand := func(event, replica string) {
		execSQL(t, pool, `UPDATE `+cfg.Schema+`.river_job SET state = 'running', attempt = 1, attempted_by = ARRAY['earlier', $2::text], attempted_at = now() - interval '1 minute'
			WHERE args->>'key' = $1`, "sale:"+event, replica)
	}
	for _, name := range []string{"silent", "unknown", "living"} {
		inHand(name, name)
	}
	var r record
	start(t, q, r.deliver)
	waitFor(t, "what the silent replicas had", func() bool { return r.count("sale:silent") == 1 && r.count("sale:unknown") == 1 })
	if n := r.count("sale:living"); n != 0 {
		t.Errorf("what a living replica has in hand was delivered %d times by another", n)
	}

	var id string
	if err := pool.QueryRow(t.Context(), `SELECT id FROM `+cfg.Schema+`.fprom_replica WHERE id NOT IN ('silent', 'living')`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	inHand("living", id) // as if the answer to q's own fetch had been lost
	waitFor(t, "what this replica has without knowing", func() bool { return r.count("sale:living") == 1 })
	if n := countRows(t, pool, `SELECT count(*) FROM `+cfg.Schema+`.fprom_ledger WHERE state <> 'done'`); n != 0 {
		t.Errorf("%d events are not done", n)
	}
}

// TestLateOwner: a replica that was taken for dead ends its delivery after another has begun the same one.
func TestLateOwner(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t), Lease: time.Second}
	a, pool := open(t, cfg)
	workersOf.Store(a, 1) // it does not get its own job again
	release := make(chan struct{})
	late := sync.OnceFunc(func() { close(release) })
	begun := make(chan struct{}, 2)
	slow := func(context.Context, fprom.Message) error {
		begun <- struct{}{}
		<-release
		return errors.New("too late to matter")
	}
	put(t, a, sale("1", "ann", 100), sale("2", "ann", 100))
	start(t, a, slow)
	t.Cleanup(late) // before the end of a's Run is waited for
	<-begun
	// a's job as a taker-over leaves it behind.
	execSQL(t, pool, `WITH gone AS (DELETE FROM `+cfg.Schema+`.river_job WHERE args->>'key' = 'sale:1' RETURNING args, kind, max_attempts, queue)
		INSERT INTO `+cfg.Schema+`.river_job (args, kind, max_attempts, queue) SELECT * FROM gone`)
	b, _ := open(t, cfg)
	var r record
	start(t, b, r.deliver)
	waitFor(t, "both events by the other replica", func() bool { return r.count("sale:1") == 1 && r.count("sale:2") == 1 })
	late()
	time.Sleep(2 * time.Second) // a retry would have come
	if n := r.count("sale:1"); n != 1 {
		t.Errorf("delivered %d times by the other replica, want 1", n)
	}
	if n := countRows(t, pool, `SELECT count(*) FROM `+cfg.Schema+`.fprom_ledger WHERE state = 'done'`); n != 2 {
		t.Errorf("%d events are done, want 2", n)
	}
}

// TestPanic: a delivery that panics is not lost, and neither is the process.
func TestPanic(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100))
	start(t, q, func(context.Context, fprom.Message) error { panic("on purpose") })
	waitFor(t, "the job kept for later with the panic", func() bool {
		return countRows(t, pool, `SELECT count(*) FROM `+cfg.Schema+`.river_job WHERE state = 'retryable' AND errors[1]->>'error' = 'on purpose'`) == 1
	})
}

// TestPrune: what was delivered longer ago than Retention is forgotten, nothing else.
func TestPrune(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t), Lease: time.Second, Retention: 48 * time.Hour}
	q, pool := open(t, cfg)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, kind, customer, digest, recorded_at, settled_at, state)
		SELECT 'sale:' || i, 'sale', 'ann', 0, now(), CASE WHEN i % 10 = 3 THEN NULL ELSE now() - interval '49 hours' END,
			CASE WHEN i % 10 = 1 THEN 'dead' WHEN i % 10 = 3 THEN 'parked' ELSE 'done' END
		FROM generate_series(1, 5000) i`)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, kind, customer, digest, recorded_at, settled_at, state)
		VALUES ('sale:young', 'sale', 'ann', 0, now(), now() - interval '47 hours', 'done')`)
	start(t, q, func(context.Context, fprom.Message) error { return nil })
	waitFor(t, "4,000 old entries forgotten", func() bool { return entries(t, pool, cfg.Schema) == 1001 })
	time.Sleep(500 * time.Millisecond)
	if n := entries(t, pool, cfg.Schema); n != 1001 {
		t.Errorf("%d entries, want 1001: the dead letters, the open ones and the young one", n)
	}
}

// TestStatsOfMany: beyond 10,000 the numbers are PostgreSQL's estimates.
func TestStatsOfMany(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	execSQL(t, pool, `INSERT INTO `+cfg.Schema+`.fprom_ledger (key, kind, customer, digest, recorded_at)
		SELECT 'sale:' || i, 'sale', 'c' || i, 0, now() FROM generate_series(1, 20000) i`)
	execSQL(t, pool, `ANALYZE `+cfg.Schema+`.fprom_ledger`)
	s, err := q.Stats(t.Context())
	if err != nil || s.Pending < 18_000 || s.Pending > 22_000 || s.Dead != 0 {
		t.Errorf("Stats with 20,000 open events: %+v, %v", s, err)
	}
}

// TestPutDeadlock: two transactions with the same keys in different order.
func TestPutDeadlock(t *testing.T) {
	t.Parallel()
	q, pool := open(t, riverqueue.Config{Schema: newSchema(t)})
	one, two := message(t, sale("1", "ann", 100)), message(t, sale("2", "ben", 100))
	ctx := t.Context()
	inserted, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if err := q.EnqueueTx(ctx, tx, sale("2", "ben", 100)); err != nil {
				return err
			}
			close(inserted)
			time.Sleep(300 * time.Millisecond) // Put holds 1 and waits for 2
			return q.EnqueueTx(ctx, tx, sale("1", "ann", 100))
		})
	}()
	<-inserted
	err := q.Put(ctx, one, two)
	if other := <-done; err != nil && other == nil {
		t.Errorf("Put: %v, want it to be tried again after a deadlock", err)
	}
	if err != nil {
		t.Errorf("Put: %v", err)
	}
}
