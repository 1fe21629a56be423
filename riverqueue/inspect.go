package riverqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

// countLimit is up to which number Stats counts; beyond it the planner's estimate is taken.
const countLimit = 10_000

// Stats tells of all replicas together. Its numbers are exact up to 10,000 and beyond that what PostgreSQL estimates
// (but at least 10,000), so that it costs milliseconds however long the backlog is.
func (q *Queue) Stats(ctx context.Context) (fprom.QueueStats, error) {
	var s fprom.QueueStats
	for _, c := range []struct {
		to       *int
		sql      string
		relation string
	}{
		{&s.Pending, q.store.sql.countOpen, "fprom_ledger_open"},
		{&s.Dead, q.store.sql.countDead, "fprom_ledger_dead"},
		{&s.Ledger, q.store.sql.count, "fprom_ledger_settled_at"},
	} {
		if err := q.pool.QueryRow(ctx, c.sql, countLimit).Scan(c.to); err != nil {
			return s, fmt.Errorf("riverqueue: stats: %w", explain(err))
		}
		if *c.to < countLimit {
			continue
		}
		var estimate float64
		if err := q.pool.QueryRow(ctx, `SELECT reltuples FROM pg_class WHERE oid = $1::regclass`, q.cfg.Schema+"."+c.relation).Scan(&estimate); err != nil {
			return s, fmt.Errorf("riverqueue: stats: %w", err)
		}
		*c.to = max(*c.to, int(estimate))
	}
	s.Ledger += s.Dead
	err := q.pool.QueryRow(ctx, q.store.sql.oldest).Scan(&s.Oldest)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return s, fmt.Errorf("riverqueue: stats: %w", err)
	}
	return s, nil
}

// Flush waits until every event of the schema that was stored before the call, by whichever process, has an outcome.
func (q *Queue) Flush(ctx context.Context) error {
	const fastest, slowest = 10 * time.Millisecond, 500 * time.Millisecond
	var mark int64
	if err := q.pool.QueryRow(ctx, q.store.sql.mark).Scan(&mark); err != nil {
		return flushErr(ctx, err)
	}
	for wait := fastest; ; wait = min(2*wait, slowest) {
		var pending bool
		err := q.pool.QueryRow(ctx, q.store.sql.pending, mark).Scan(&pending)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			q.log.Warn("riverqueue: the database fails; Flush waits for it", "error", err)
		case !pending:
			return nil
		}
		if err := q.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func flushErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("riverqueue: flush: %w", explain(err))
}

// DeadLetter is an event that cannot be delivered as it is.
type DeadLetter struct {
	Message   fprom.Message // Attempt is the number of failed deliveries
	SettledAt time.Time     // when it was given up
	Reason    string        // FirstPromoter's message, or "cancelled in River" or "deleted in River": by hand; of the latter Body is empty
}

// DeadLetters returns up to limit dead letters, oldest first.
func (q *Queue) DeadLetters(ctx context.Context, limit int) ([]DeadLetter, error) {
	rows, err := q.pool.Query(ctx, q.store.sql.dead, int64(-1), limit)
	if err != nil {
		return nil, fmt.Errorf("riverqueue: dead letters: %w", explain(err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (DeadLetter, error) {
		var d DeadLetter
		var body string
		m := &d.Message
		err := row.Scan(&m.Key, &m.Kind, &m.Customer, &body, &m.RecordedAt, &m.Attempt, &d.SettledAt, &d.Reason)
		m.Body = []byte(body)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("riverqueue: dead letters: %w", explain(err))
	}
	return all, nil
}

// Redrive puts the dead letters with these keys (Message.Key) back, to be delivered as they are, and returns how many
// of them there were. Retrying the cancelled job in River's UI or CLI does the same. One whose Body is empty stays. To deliver a corrected event Put it under
// the same key instead.
func (q *Queue) Redrive(ctx context.Context, keys ...string) (int, error) {
	n := 0
	for _, key := range keys {
		err := q.transact(ctx, &pgx.Batch{}, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, q.store.sql.redrive, key)
			if err != nil {
				return err
			}
			ms, err := collectMessages(rows)
			if err != nil || len(ms) == 0 {
				return err
			}
			n++
			return q.resume(ctx, tx, ms[0])
		})
		if err != nil {
			return n, fmt.Errorf("riverqueue: redrive: %w", explain(err))
		}
	}
	return n, nil
}

// resume makes a job of the parked m as soon as its customer's lane is free.
func (q *Queue) resume(ctx context.Context, tx pgx.Tx, m fprom.Message) error {
	if m.Customer == "" {
		if _, err := tx.Exec(ctx, q.store.sql.unpark, m.Key); err != nil {
			return err
		}
		return q.store.insertJobs(ctx, tx, []fprom.Message{m})
	}
	if _, err := tx.Exec(ctx, q.store.sql.lock, q.lane(m.Customer)); err != nil {
		return err
	}
	return q.promote(ctx, tx, m.Customer)
}
