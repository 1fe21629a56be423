package riverqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
)

// Of each pair of a key and a generation: an entry that was put again, or redriven, since it was read is another one.
const (
	these = `(account_id, key, generation) IN (SELECT $account::integer, * FROM unnest($1::text[], $2::integer[])) AND state = 'dead'`

	redriveSQL = `UPDATE $schema.fprom_ledger SET state = 'waiting', settled_at = NULL, outcome = '', attempts = 0, generation = generation + 1
		WHERE ` + these + ` AND body IS NOT NULL RETURNING key, bulk`
	dropSQL   = `DELETE FROM $schema.fprom_ledger WHERE ` + these + ` RETURNING key, bulk`
	forgetSQL = `WITH later AS (UPDATE $schema.fprom_ledger SET forget = true WHERE account_id = $account AND state = 'waiting' AND customer <> '' AND customer = ANY($1)),
		now AS (UPDATE $schema.fprom_ledger SET customer = '', body = NULL, clear_key = NULL WHERE account_id = $account AND state = 'dead' AND customer = ANY($1) RETURNING 1)
		SELECT count(*) FROM now`
	historySQL = `SELECT floor(extract(epoch FROM settled_at - $1::timestamptz) / $3::float8)::integer, state, outcome, count(*) FROM $schema.fprom_ledger
		WHERE account_id = $account AND state <> 'waiting' AND settled_at >= $1 AND settled_at < $2 GROUP BY 1, 2, 3`
)

// Redrive implements fprom.Outbox. Retrying an old job in River's UI does not do it: a job is no more than a wake-up.
func (q *Queue) Redrive(ctx context.Context, f fprom.Filter) (int, error) {
	return q.change(ctx, f, "redrive", redriveSQL, func(tx pgx.Tx, back []river.InsertManyParams) error {
		return pgxSession{tx, q.store.pgx}.insertJobs(ctx, back)
	})
}

// Drop implements fprom.Outbox.
func (q *Queue) Drop(ctx context.Context, f fprom.Filter) (int, error) {
	return q.change(ctx, f, "drop", dropSQL, func(pgx.Tx, []river.InsertManyParams) error { return nil })
}

// change runs a statement on the dead letters that f selects, a page of them in one transaction with then.
func (q *Queue) change(ctx context.Context, f fprom.Filter, what, sql string, then func(pgx.Tx, []river.InsertManyParams) error) (n int, err error) {
	f.State = fprom.StateDead
	err = q.pages(ctx, f, func(some []found) (bool, error) {
		var keys []string
		var generations []int
		for _, e := range some {
			keys, generations = append(keys, e.Key), append(generations, e.generation)
		}
		if len(keys) == 0 {
			return true, nil
		}
		return true, pgx.BeginTxFunc(ctx, q.pool, readCommitted, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, q.store.sql(sql), keys, generations)
			if err != nil {
				return err
			}
			changed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p river.InsertManyParams, err error) {
				var key string
				var bulk bool
				err = row.Scan(&key, &bulk)
				return river.InsertManyParams{Args: wakeUp{key}, InsertOpts: jobOptions(bulk)}, err
			})
			if err != nil || len(changed) == 0 {
				return err
			}
			n += len(changed)
			return then(tx, changed)
		})
	})
	if err != nil {
		return n, fmt.Errorf("fprom: riverqueue: %s: %w", what, explain(err))
	}
	return n, nil
}

// Forget implements fprom.Outbox. What is done has lost its customer already. What waits is not counted.
func (q *Queue) Forget(ctx context.Context, customer string) (n int, err error) {
	if err := q.open(); err != nil || customer == "" {
		return 0, err
	}
	err = q.pool.QueryRow(ctx, q.store.sql(forgetSQL), both(customer)).Scan(&n)
	if err != nil {
		return n, fmt.Errorf("fprom: riverqueue: forget: %w", explain(err))
	}
	return n, nil
}

// History implements fprom.Outbox.
func (q *Queue) History(ctx context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	const most = 10_000
	if err := q.open(); err != nil {
		return nil, err
	}
	if step <= 0 {
		return nil, &fprom.ValidationError{Field: "step", Reason: "is not positive"}
	}
	from = from.Truncate(step)
	n := int((to.Sub(from) + step - 1) / step)
	if n > most {
		return nil, &fprom.ValidationError{Field: "step", Reason: "makes more than 10,000 intervals"}
	}
	buckets := make([]fprom.Bucket, max(n, 0))
	for i := range buckets {
		buckets[i].Start = from.Add(time.Duration(i) * step)
	}
	rows, err := q.pool.Query(ctx, q.store.sql(historySQL), from, to, step.Seconds())
	if err != nil {
		return nil, fmt.Errorf("fprom: riverqueue: history: %w", explain(err))
	}
	var i, count int
	var state fprom.State
	var outcome fprom.Outcome
	_, err = pgx.ForEachRow(rows, []any{&i, &state, &outcome, &count}, func() error {
		if i >= 0 && i < len(buckets) {
			for range count {
				buckets[i].Add(state, outcome)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("fprom: riverqueue: history: %w", explain(err))
	}
	return buckets, nil
}
