package riverqueue_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// waiters waits until n statements on the ledger of the schema wait for a lock.
func waiters(t *testing.T, pool *pgxpool.Pool, schema string, n int) {
	t.Helper()
	waitFor(t, "a statement to wait for a row", func() bool { return waiting(t, pool, schema) == n })
}

// waiting is how many statements on the ledger of the schema wait for a lock.
func waiting(t *testing.T, pool *pgxpool.Pool, schema string) int {
	t.Helper()
	return countRows(t, pool, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0`, `"`+schema+`".fprom_`)
}

// hold locks the event's row until release.
func hold(t *testing.T, pool *pgxpool.Pool, schema, key string) (release func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	if _, err := tx.Exec(t.Context(), `SELECT 1 FROM `+schema+`.fprom_ledger WHERE key = $1 FOR UPDATE`, key); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback(t.Context()) }
}

// TestPutOfWhatIsDoneMeanwhile: a Put that has seen a dead letter, and waits for another transaction while the letter is
// redriven and delivered, does not send it once more.
func TestPutOfWhatIsDoneMeanwhile(t *testing.T) {
	t.Parallel()
	for name, amount := range map[string]int64{"the same": 100, "another amount": 200} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := riverqueue.Config{Schema: newSchema(t)}
			q, pool := open(t, cfg)
			r := record{answer: func(fprom.Message) error { return errRejected }}
			put(t, q, sale("2", "ann", 100))
			stop := start(t, q, r.deliver)
			flush(t, q)
			stop()
			again := make(chan error, 1)
			if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				if err := q.EnqueueTx(t.Context(), tx, sale("1", "ben", 100)); err != nil {
					return err
				}
				go func() {
					again <- q.Put(t.Context(), message(t, sale("1", "ben", 100)), message(t, sale("2", "ann", amount)))
				}()
				waiters(t, pool, cfg.Schema, 1)
				if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
					t.Errorf("Redrive: %d, %v", n, err)
				}
				r.answer = nil
				stop := start(t, q, r.deliver)
				flush(t, q)
				stop()
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := <-again; (amount == 100) != (err == nil) || err != nil && !errors.Is(err, fprom.ErrConflict) {
				t.Errorf("Put: %v", err)
			}
			start(t, q, r.deliver)
			flush(t, q)
			if n := r.count("sale:2"); n != 2 {
				t.Errorf("%d deliveries, want the rejected one and that of Redrive", n)
			}
		})
	}
}

// TestPutOfWhatIsRemovedMeanwhile: a Put that has seen a dead letter, and waits for another transaction that removes it, stores its event.
func TestPutOfWhatIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100))
	rejectAll(t, q)
	again := make(chan error, 1)
	if err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		row := ` FROM ` + cfg.Schema + `.fprom_ledger WHERE state = 'dead'`
		if _, err := tx.Exec(t.Context(), `SELECT`+row+` FOR UPDATE`); err != nil {
			return err
		}
		go func() { again <- q.Put(t.Context(), message(t, sale("1", "ann", 100))) }()
		waiters(t, pool, cfg.Schema, 1)
		_, err := tx.Exec(t.Context(), `DELETE`+row)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-again; err != nil {
		t.Fatal(err)
	}
	if e := entriesOf(t, q, fprom.Filter{State: fprom.StateWaiting}); len(e) != 1 {
		t.Errorf("waiting: %v, want the event that was put", e)
	}
}
