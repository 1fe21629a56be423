package riverqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// pollTime is how often a process that waits for the database, or for the end of a pause, looks again.
	pollTime = 500 * time.Millisecond
	// bulkPatience is how long a bulk event leaves all calls to live ones. It holds a worker meanwhile, perhaps the only one.
	bulkPatience = 5 * time.Second
)

const steppedBack = "fprom: riverqueue: the database's clock stepped back; times that were stored before are ignored. Check the time synchronization of the database server"

// bulkKey marks the context of a delivery of a bulk event.
type bulkKey struct{}

// slotSQL takes one call from a token bucket: the row of the account. A call is allowed from next_slot on. next_slot lags behind
// the clock by at most the time of `spare` calls, which may then follow each other at once.
//
// The rate is 95 % of the limit in 62 seconds, and a fortieth of the limit is spare. So no 60 seconds have more calls than the
// limit, although one call may take three seconds longer to FirstPromoter than another. A bulk event takes a call only if all
// spare calls are left, so that it does not delay live events, see bulkPatience.
const slotSQL = `WITH account AS MATERIALIZED (SELECT requests_per_minute AS was, CASE WHEN @set THEN @per_minute ELSE requests_per_minute END AS n, next_slot, paused_until
		FROM $schema.fprom_account WHERE account_id = $account FOR UPDATE),
	rate AS MATERIALIZED (SELECT *, clock_timestamp() AS now, make_interval(secs => 62 / (0.95 * n)) AS apart, floor(n / 40.0) AS spare FROM account),
	-- If a time is further ahead than any that is stored, the clock of the database stepped back.
	clock AS MATERIALIZED (SELECT *, floor(extract(epoch FROM now))::bigint AS second,
		next_slot > now + apart + interval '1 minute' OR paused_until > now + interval '16 minutes' AS stepped FROM rate),
	bucket AS MATERIALIZED (SELECT *, CASE WHEN stepped OR was = 0 THEN now ELSE greatest(next_slot, paused_until, now - apart * spare) END AS slot FROM clock),
	answer AS MATERIALIZED (SELECT *, extract(epoch FROM slot + CASE WHEN @bulk THEN apart * spare ELSE interval '0' END - now)::float8 AS wait FROM bucket),
	-- calls has one number for each second of a minute: the second, times a million, plus the calls in it.
	taken AS (UPDATE $schema.fprom_account SET requests_per_minute = n, next_slot = CASE WHEN wait <= 0 THEN slot + apart ELSE slot END,
			paused_until = CASE WHEN stepped THEN '-infinity' ELSE answer.paused_until END,
			calls[(second % 60 + 1)::integer] = greatest(calls[(second % 60 + 1)::integer], second * 1000000) + (wait <= 0)::integer
		FROM answer WHERE account_id = $account AND (wait <= 0 OR stepped OR was <> n))
	SELECT wait, was, n, stepped FROM answer`

const (
	inPause  = `(paused_until > clock_timestamp() AND paused_until <= clock_timestamp() + interval '16 minutes')`
	pauseSQL = `UPDATE $schema.fprom_account SET paused_until = greatest(CASE WHEN ` + inPause + ` THEN paused_until END, clock_timestamp() + make_interval(secs => $1)),
		pause_reason = $2 WHERE account_id = $account`
)

// Admit waits until this process may make one call under the limit that all replicas share. In a pause of the account, and
// while the database cannot be reached, no process may call. The error is ctx's, or fprom.ErrQueueClosed.
//
// requestsPerMinute becomes the account's limit, for all replicas: the number of the replica that started last counts. Each
// replica logs a warning when the number changes.
func (q *Queue) Admit(ctx context.Context, requestsPerMinute int) error {
	turn, bulk := q.liveTurn, ctx.Value(bulkKey{}) != nil
	if bulk {
		turn = q.bulkTurn
	}
	if err := q.acquire(ctx, turn); err != nil {
		return err
	}
	defer func() { <-turn }()
	for begun := time.Now(); ; {
		wait, err := q.takeSlot(ctx, requestsPerMinute, bulk && time.Since(begun) < bulkPatience)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			q.outage.failed("wait for the rate limit", err)
			wait = pollTime
		case wait <= 0:
			return nil
		}
		if err := q.sleep(ctx, min(wait, pollTime)); err != nil {
			return err
		}
	}
}

// takeSlot takes a call. If none is left, it returns how long to wait before asking again.
func (q *Queue) takeSlot(ctx context.Context, perMinute int, bulk bool) (wait time.Duration, err error) {
	var secs float64
	var was, limit int
	var stepped bool
	known := int(q.limit.Load())
	args := pgx.StrictNamedArgs{"per_minute": perMinute, "set": known == 0, "bulk": bulk}
	if err := q.row(ctx, q.sql(slotSQL), args).Scan(&secs, &was, &limit, &stepped); err != nil {
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
