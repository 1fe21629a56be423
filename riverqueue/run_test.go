package riverqueue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// patience only guards against waiting for ever.
const patience = 2 * time.Minute

// tracked is a deliver function for one whose result does not matter.
func tracked(deliver func(context.Context, fprom.Message) error) func(context.Context, fprom.Message) (fprom.Result, error) {
	return func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
		if err := deliver(ctx, m); err != nil {
			return fprom.Result{Outcome: fprom.Undelivered}, err
		}
		return fprom.Result{Outcome: fprom.Tracked, StatusCode: 200}, nil
	}
}

// start runs q with 4 workers until the test or stop ends it.
func start(t *testing.T, q *riverqueue.Queue, deliver func(context.Context, fprom.Message) error) (stop func()) {
	t.Helper()
	return startWith(t, q, 4, deliver)
}

func startWith(t *testing.T, q *riverqueue.Queue, workers int, deliver func(context.Context, fprom.Message) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- q.Run(ctx, workers, tracked(deliver)) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
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

// flush waits until q has no event without an outcome.
func flush(t *testing.T, q *riverqueue.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := q.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// record is a deliver that notes what it was given; answer may be nil.
type record struct {
	mu     sync.Mutex
	calls  []fprom.Message
	under  map[string]int
	twice  int // deliveries that began while another of the same event was under way
	answer func(fprom.Message) error
}

func (r *record) deliver(_ context.Context, m fprom.Message) error {
	r.mu.Lock()
	r.calls = append(r.calls, m)
	if r.under == nil {
		r.under = map[string]int{}
	}
	if r.under[m.Key]++; r.under[m.Key] > 1 {
		r.twice++
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.under[m.Key]--
	}()
	if r.answer != nil {
		return r.answer(m)
	}
	return nil
}

// of is every delivery of an event.
func (r *record) of(key string) (all []fprom.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.calls {
		if m.Key == key {
			all = append(all, m)
		}
	}
	return all
}

func (r *record) count(key string) int { return len(r.of(key)) }

// comeDue lets the time of each next attempt come, as the event and its job know it.
func comeDue(t *testing.T, pool *pgxpool.Pool, schema string) {
	t.Helper()
	for _, sql := range []string{
		`UPDATE "` + schema + `".fprom_ledger SET next_attempt = now() WHERE next_attempt > now()`,
		`UPDATE "` + schema + `".river_job SET scheduled_at = now() WHERE scheduled_at > now()`,
	} {
		// READ COMMITTED, also where the pool says otherwise: it cannot fail beside River.
		if err := pgx.BeginTxFunc(t.Context(), pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		}); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func execSQL(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// entriesOf is what f selects.
func entriesOf(t *testing.T, q fprom.Outbox, f fprom.Filter) (all []fprom.Entry) {
	t.Helper()
	for e, err := range q.Entries(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}
