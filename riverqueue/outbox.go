package riverqueue

import (
	"cmp"
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
)

// selectSQL and lockSelectedSQL lock the dead letters that a filter selects, the oldest first, except those that another
// transaction is changing: to wait for it could deadlock with a transaction of the caller.
const (
	selectSQL       = `SELECT l.key FROM $schema.fprom_ledger l WHERE ` + filterSQL
	lockSelectedSQL = ` ORDER BY l.seq LIMIT @limit FOR UPDATE SKIP LOCKED`
)

const (
	redriveSQL = `WITH selected AS MATERIALIZED (` + selectSQL + ` AND l.body IS NOT NULL` + lockSelectedSQL + `),
		placed AS MATERIALIZED (SELECT key, nextval('$schema.fprom_seq') AS place FROM selected),
		redriven AS (UPDATE $schema.fprom_ledger l SET state = 'waiting', seq = place, settled_at = NULL, attempts = 0, next_attempt = now(), generation = generation + 1
			FROM placed WHERE l.account_id = $account AND l.key = placed.key RETURNING l.*)
		SELECT count($schema.fprom_wake(key, bulk, now())) FROM (SELECT * FROM redriven ORDER BY seq) r`
	dropSQL = `WITH selected AS MATERIALIZED (` + selectSQL + lockSelectedSQL + `),
		dropped AS (DELETE FROM $schema.fprom_ledger l USING selected WHERE l.account_id = $account AND l.key = selected.key RETURNING 1)
		SELECT count(*) FROM dropped`
	// forgetSQL erases the customer $1 from dead letters, and marks waiting events to be erased with their outcome. It locks dead letters
	// in the order of their keys, as fprom_put does, and then waiting events: while it waits for a caller's transaction, delivery goes on.
	forgetSQL = `WITH selected AS MATERIALIZED (SELECT key FROM $schema.fprom_ledger
			WHERE account_id = $account AND (state = 'waiting' AND customer <> '' OR state = 'dead') AND customer = $1 ORDER BY state, key FOR UPDATE),
		changed AS (UPDATE $schema.fprom_ledger l SET forget = state = 'waiting', customer = CASE state WHEN 'waiting' THEN customer ELSE '' END,
			body = CASE state WHEN 'waiting' THEN body END, clear_key = CASE state WHEN 'waiting' THEN clear_key END
			FROM selected WHERE l.account_id = $account AND l.key = selected.key RETURNING state)
		SELECT count(*) FROM changed WHERE state = 'dead'`
	// historySQL counts the outcomes from $1 to $2 in intervals of $3 seconds.
	historySQL = `SELECT floor(extract(epoch FROM settled_at - $1::timestamptz) / $3::float8)::integer, state, outcome, count(*) FROM $schema.fprom_ledger
		WHERE account_id = $account AND state <> 'waiting' AND settled_at >= $1 AND settled_at < $2 GROUP BY 1, 2, 3`
)

// Redrive implements fprom.Outbox. A retry of the old job in River's UI does not send a dead letter.
func (q *Queue) Redrive(ctx context.Context, f fprom.Filter) (int, error) {
	return q.changeDead(ctx, f, "redrive", redriveSQL)
}

// Drop implements fprom.Outbox.
func (q *Queue) Drop(ctx context.Context, f fprom.Filter) (int, error) {
	return q.changeDead(ctx, f, "drop", dropSQL)
}

// changeDead runs a statement on the dead letters that f selects.
func (q *Queue) changeDead(ctx context.Context, f fprom.Filter, what, sql string) (n int, err error) {
	f.State = fprom.StateDead
	args, err := filterArgs(f, math.MaxInt)
	if err = cmp.Or(q.ready(ctx), err); err == nil {
		err = q.pool.QueryRow(ctx, q.sql(sql), args...).Scan(&n)
	}
	return n, explain(what, err)
}

// Forget implements fprom.Outbox. Events that are done lost their customer with the outcome. Waiting events are not counted.
func (q *Queue) Forget(ctx context.Context, customer string) (n int, err error) {
	if customer == "" {
		return 0, &fprom.ValidationError{Field: "customer", Reason: "is empty"}
	}
	if err = q.ready(ctx); err != nil {
		return 0, explain("forget", err)
	}
	err = q.pool.QueryRow(ctx, q.sql(forgetSQL), backlog.Customer(customer)).Scan(&n)
	return n, explain("forget", err)
}

// History implements fprom.Outbox.
func (q *Queue) History(ctx context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	buckets, err := fprom.NewBuckets(from, to, step)
	if err = cmp.Or(q.ready(ctx), err); err != nil || len(buckets) == 0 {
		return nil, explain("history", err)
	}
	rows, _ := q.pool.Query(ctx, q.sql(historySQL), buckets[0].Start, to, step.Seconds()) // ForEachRow returns its error
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
	return buckets, explain("history", err)
}
