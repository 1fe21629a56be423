package riverqueue_test

import (
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestDeadLetters: a rejected event is a dead letter of ours and a cancelled job of River's with the reason; it comes
// back by Redrive, by River's retry, and by a corrected event under its id.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t), Lease: time.Second}
	q, pool := open(t, cfg)
	ctx := t.Context()
	var mu sync.Mutex
	reject := true
	r := record{answer: func(fprom.Message) error {
		mu.Lock()
		defer mu.Unlock()
		if reject {
			return &fprom.APIError{StatusCode: 400, Message: "Error. Amount blank or invalid."}
		}
		return nil
	}}
	put(t, q, sale("redriven", "ann", 100), sale("retried", "ann", 100), sale("corrected", "ben", 100))
	start(t, q, r.deliver)
	if err := q.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	dead, err := q.DeadLetters(ctx, 10)
	if err != nil || len(dead) != 3 {
		t.Fatalf("DeadLetters: %v, %v, want 3", dead, err)
	}
	if d := dead[0]; d.Reason != "400 Bad Request: Error. Amount blank or invalid." || string(d.Message.Body) != string(message(t, sale("redriven", "ann", 100)).Body) || time.Since(d.SettledAt) > time.Minute {
		t.Errorf("dead letter: %+v", d)
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: cfg.Schema})
	if err != nil {
		t.Fatal(err)
	}
	var retried int64
	waitFor(t, "three cancelled jobs with the reason", func() bool {
		n := countRows(t, pool, `SELECT count(*) FROM `+cfg.Schema+`.river_job WHERE state = 'cancelled' AND errors[1]->>'error' LIKE '%Amount blank%'`)
		return n == 3
	})
	if err := pool.QueryRow(ctx, `SELECT id FROM `+cfg.Schema+`.river_job WHERE args->>'key' = 'sale:retried'`).Scan(&retried); err != nil {
		t.Fatal(err)
	}

	mu.Lock()
	reject = false
	mu.Unlock()
	if n, err := q.Redrive(ctx, "sale:redriven", "sale:nobody"); n != 1 || err != nil {
		t.Errorf("Redrive: %d, %v, want 1", n, err)
	}
	if _, err := client.JobRetry(ctx, retried); err != nil {
		t.Fatal(err)
	}
	put(t, q, sale("corrected", "ben", 250)) // no conflict: the first was rejected
	waitFor(t, "second deliveries", func() bool {
		return r.count("sale:redriven") == 2 && r.count("sale:retried") == 2 && r.count("sale:corrected") == 2
	})
	if err := q.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if s, err := q.Stats(ctx); err != nil || s.Dead != 0 || s.Ledger != 3 {
		t.Errorf("Stats: %+v, %v; want no dead letter and 3 entries", s, err)
	}
}

// TestJobsEndedFromOutside: by hand, or by a stranger's rescuer.
func TestJobsEndedFromOutside(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t), Lease: time.Second}
	q, pool := open(t, cfg)
	ctx := t.Context()
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: cfg.Schema})
	if err != nil {
		t.Fatal(err)
	}
	put(t, q, sale("cancelled", "ann", 100), sale("next", "ann", 100), sale("discarded", "ben", 100))
	old := message(t, sale("deleted", "cid", 100))
	old.RecordedAt = old.RecordedAt.Add(-time.Hour)
	if err := q.Put(ctx, old, message(t, sale("after", "cid", 100))); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(ctx, `DELETE FROM `+cfg.Schema+`.river_job WHERE args->>'key' = 'sale:deleted'`); err != nil {
		t.Fatal(err)
	}
	var id int64
	if err := pool.QueryRow(ctx, `SELECT id FROM `+cfg.Schema+`.river_job WHERE args->>'key' = 'sale:cancelled'`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	if _, err := client.JobCancel(ctx, id); err != nil {
		t.Fatal(err)
	}
	execSQL(t, pool, `UPDATE `+cfg.Schema+`.river_job SET state = 'discarded', finalized_at = now() WHERE args->>'key' = 'sale:discarded'`)
	var r record
	start(t, q, r.deliver)
	waitFor(t, "the others delivered", func() bool {
		return r.count("sale:next") == 1 && r.count("sale:discarded") == 1 && r.count("sale:after") == 1
	})
	dead, err := q.DeadLetters(ctx, 10)
	if err != nil || len(dead) != 2 || dead[0].Reason != "cancelled in River" || dead[1].Reason != "deleted in River" {
		t.Fatalf("DeadLetters: %+v, %v; want the cancelled and the deleted one", dead, err)
	}
	if n, err := q.Redrive(ctx, "sale:deleted"); n != 0 || err != nil {
		t.Errorf("Redrive of an event without a body: %d, %v", n, err)
	}
	if n := r.count("sale:cancelled"); n != 0 {
		t.Errorf("the cancelled event was delivered %d times", n)
	}
}
