package riverqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

// The row locks of theseSQL leave out what was put again, redriven or forgotten meanwhile.
const (
	theseSQL   = `WITH f AS MATERIALIZED (SELECT l.key FROM $schema.fprom_ledger l WHERE ` + filterSQL
	lockedSQL  = ` ORDER BY l.seq LIMIT $11 FOR UPDATE), `
	redriveSQL = theseSQL + ` AND l.body IS NOT NULL` + lockedSQL + `w AS (UPDATE $schema.fprom_ledger l SET state = 'waiting', settled_at = NULL, outcome = '', attempts = 0, generation = generation + 1
			FROM f WHERE l.account_id = $account AND l.key = f.key AND l.state = 'dead' RETURNING l.key, l.bulk, l.seq),
		j AS (` + jobsSQL + `now() FROM w ORDER BY seq)
		SELECT count(*) FROM w`
	dropSQL = theseSQL + lockedSQL + `w AS (DELETE FROM $schema.fprom_ledger l USING f WHERE l.account_id = $account AND l.key = f.key AND l.state = 'dead' RETURNING 1)
		SELECT count(*) FROM w`
	forgetSQL = `WITH f AS (UPDATE $schema.fprom_ledger SET forget = state = 'waiting', customer = CASE state WHEN 'waiting' THEN customer ELSE '' END,
			body = CASE state WHEN 'waiting' THEN body END, clear_key = CASE state WHEN 'waiting' THEN clear_key END
			WHERE account_id = $account AND (state = 'waiting' AND customer <> '' OR state = 'dead') AND customer = ANY($1) RETURNING state)
		SELECT count(*) FROM f WHERE state = 'dead'`
	historySQL = `SELECT floor(extract(epoch FROM settled_at - $1::timestamptz) / $3::float8)::integer, state, outcome, count(*) FROM $schema.fprom_ledger
		WHERE account_id = $account AND state <> 'waiting' AND settled_at >= $1 AND settled_at < $2 GROUP BY 1, 2, 3`
)

// Redrive implements fprom.Outbox. Retrying an old job in River's UI does not do it: a job is no more than a wake-up.
func (q *Queue) Redrive(ctx context.Context, f fprom.Filter) (int, error) {
	return q.change(ctx, f, "redrive", redriveSQL)
}

// Drop implements fprom.Outbox.
func (q *Queue) Drop(ctx context.Context, f fprom.Filter) (int, error) {
	return q.change(ctx, f, "drop", dropSQL)
}

// change runs a statement on the dead letters that f selects.
func (q *Queue) change(ctx context.Context, f fprom.Filter, what, sql string) (n int, err error) {
	if err := q.open(); err != nil {
		return 0, err
	}
	f.State = fprom.StateDead
	var limit *int
	if f.Limit > 0 {
		limit = &f.Limit
	}
	args, err := filterArgs(f)
	if err == nil {
		err = q.pool.QueryRow(ctx, q.sql(sql), append(args, limit)...).Scan(&n)
	}
	if err != nil {
		return 0, fmt.Errorf("fprom: riverqueue: %s: %w", what, explain(err))
	}
	return n, nil
}

// Forget implements fprom.Outbox. What is done has lost its customer already. What waits is not counted.
func (q *Queue) Forget(ctx context.Context, customer string) (n int, err error) {
	if err := q.open(); err != nil || customer == "" {
		return 0, err
	}
	err = q.pool.QueryRow(ctx, q.sql(forgetSQL), both(customer)).Scan(&n)
	if err != nil {
		return n, fmt.Errorf("fprom: riverqueue: forget: %w", explain(err))
	}
	return n, nil
}

// History implements fprom.Outbox.
func (q *Queue) History(ctx context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	buckets, err := fprom.NewBuckets(from, to, step)
	if err != nil {
		return nil, err
	}
	from = from.Truncate(step)
	rows, _ := q.pool.Query(ctx, q.sql(historySQL), from, to, step.Seconds()) // ForEachRow returns its error
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
