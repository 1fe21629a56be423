package riverqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// pollTime is how often a process that waits for the database, or for the end of a pause, looks again.
const pollTime = 500 * time.Millisecond

const steppedBack = "fprom: riverqueue: the database's clock stepped back; times that it gave out before are ignored. Look after its time synchronization"

// bulkKey marks the context of a delivery of a bulk event.
type bulkKey struct{}

// The account's row is a token bucket. next_slot is the time from which on the next call is allowed; the row lets it fall
// back behind the clock by `spare` calls, which may then follow each other at once. Calls are 5 % below the limit and over
// 62 seconds, and a fortieth of the limit is spare: even if a call is on its way three seconds longer than another, no 60
// seconds see more than the limit. A bulk event ($3 = 1) takes a call only when all the spare ones are there, so that live
// events go as if it were not. A time further ahead than can be is from before the database's clock stepped back.
const slotSQL = `WITH a AS MATERIALIZED (SELECT requests_per_minute AS was, CASE WHEN $2 THEN $1 ELSE requests_per_minute END AS n, next_slot, paused_until
		FROM $schema.fprom_account WHERE account_id = $account FOR UPDATE),
	b AS MATERIALIZED (SELECT *, clock_timestamp() AS now, make_interval(secs => 62 / (0.95 * n)) AS apart, floor(n / 40.0) AS spare FROM a),
	c AS MATERIALIZED (SELECT *, floor(extract(epoch FROM now))::bigint AS sec, next_slot > now + apart + interval '1 minute' OR paused_until > now + interval '16 minutes' AS stepped FROM b),
	d AS MATERIALIZED (SELECT *, CASE WHEN stepped OR was = 0 THEN now ELSE greatest(next_slot, paused_until, now - apart * spare) END AS slot FROM c),
	e AS MATERIALIZED (SELECT *, extract(epoch FROM slot + apart * spare * $3::integer - now)::float8 AS wait FROM d),
	u AS (UPDATE $schema.fprom_account SET requests_per_minute = n, next_slot = CASE WHEN wait <= 0 THEN slot + apart ELSE slot END,
			paused_until = CASE WHEN stepped THEN '-infinity' ELSE e.paused_until END,
			calls[(sec % 60 + 1)::integer] = greatest(calls[(sec % 60 + 1)::integer], sec * 1000000) + (wait <= 0)::integer
		FROM e WHERE account_id = $account AND (wait <= 0 OR stepped OR was <> n))
	SELECT wait, was, n, stepped FROM e`

const (
	inPause  = `(paused_until > clock_timestamp() AND paused_until <= clock_timestamp() + interval '16 minutes')`
	pauseSQL = `UPDATE $schema.fprom_account SET paused_until = greatest(CASE WHEN ` + inPause + ` THEN paused_until END, clock_timestamp() + make_interval(secs => $1)),
		pause_reason = $2 WHERE account_id = $account`
)

// Admit waits until this process may make one call under the limit that all replicas share, and until no replica has
// paused the account. While the database cannot be reached nobody may call: Admit waits for it, too. Its error is ctx's, or
// fprom.ErrQueueClosed.
//
// requestsPerMinute becomes the account's limit, for all replicas. One that comes with another number says so in its log, and
// so do the others: the number of the last one that started is kept.
func (q *Queue) Admit(ctx context.Context, requestsPerMinute int) error {
	turn, bulk := q.liveTurn, ctx.Value(bulkKey{}) != nil
	if bulk {
		turn = q.bulkTurn
	}
	if err := q.take(ctx, turn); err != nil {
		return err
	}
	defer func() { <-turn }()
	for {
		wait, err := q.slot(ctx, requestsPerMinute, bulk)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			q.outage.failed("ask for leave to call", err)
			wait = pollTime
		case wait <= 0:
			q.outage.over()
			return nil
		}
		if err := q.sleep(ctx, min(wait, pollTime)); err != nil {
			return err
		}
	}
}

// slot takes a call if there is one now. Otherwise it says how long to wait before asking again.
func (q *Queue) slot(ctx context.Context, perMinute int, bulk bool) (wait time.Duration, err error) {
	var secs float64
	var was, limit, behindSpare int
	var stepped bool
	if bulk {
		behindSpare = 1
	}
	known := int(q.limit.Load())
	if err := q.row(ctx, q.sql(slotSQL), perMinute, known == 0, behindSpare).Scan(&secs, &was, &limit, &stepped); err != nil {
		return 0, err
	}
	if known == 0 {
		known = was
	}
	q.limit.Store(int64(limit))
	if known != limit && known != 0 {
		q.cfg.Logger.Warn("fprom: riverqueue: a replica changed the account's limit; give all the same Config.RequestsPerMinute", "was", known, "is", limit)
	}
	if stepped {
		q.cfg.Logger.Warn(steppedBack)
	}
	return time.Duration(secs * float64(time.Second)), nil
}

// Pause tells all replicas that the account is paused for d.
func (q *Queue) Pause(ctx context.Context, d time.Duration, reason error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := q.batch(ctx, func(b *pgx.Batch) { b.Queue(q.sql(pauseSQL), d.Seconds(), storable(reason.Error())) }); err != nil {
		return fmt.Errorf("fprom: riverqueue: pause: %w", err)
	}
	return nil
}
