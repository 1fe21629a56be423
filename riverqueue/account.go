package riverqueue

import (
	"context"
	"fmt"
	"time"
)

const (
	// late is how far behind its slot a call may be where slots are asked for one by one: one that missed it takes a new
	// one, so that a process that was stopped for a while does not send what it held all at once.
	late = time.Second
	// blockTime is for how long a process may hold slots ahead where the limit is above 600 a minute. It bounds the
	// statements per second, and how long a call may still be made after another replica paused the account.
	blockTime = 100 * time.Millisecond
	// probeTime is how long the others wait for the outcome of one replica's probe: a probe that hangs or dies with its
	// process delays the next no longer.
	probeTime = 5 * time.Second
	// pollTime is how often a waiting process looks whether the pause is over.
	pollTime = 500 * time.Millisecond
)

const (
	// apart is the time between two calls of all replicas: 5 % below the limit and over 62 seconds. Even if a call is on its
	// way five seconds longer than another, no 60 seconds see more than the limit.
	apart = `(62 / (0.95 * requests_per_minute))`
	block = `(CASE WHEN probing THEN 1 ELSE greatest(1, floor($1::float8 / ` + apart + `)) END)` // slots that are given out at once
	// A time further ahead than can be is from before the database's clock stepped back.
	slotAhead  = `(clock_timestamp() + make_interval(secs => 60 + 16 * ` + apart + `))`
	pauseAhead = `(clock_timestamp() + interval '16 minutes')`
	inPause    = `(paused_until > clock_timestamp() AND paused_until < ` + pauseAhead + `)`
	inProbe    = `(probing AND probe_until > clock_timestamp() AND probe_until < clock_timestamp() + interval '1 minute')`

	agreeSQL = `WITH old AS (SELECT requests_per_minute AS n FROM $schema.fprom_account WHERE account_id = $account FOR UPDATE)
		UPDATE $schema.fprom_account SET requests_per_minute = $1 FROM old WHERE account_id = $account RETURNING old.n, clock_steps`
	slotsSQL = `UPDATE $schema.fprom_account SET
			next_slot = greatest(CASE WHEN next_slot < ` + slotAhead + ` THEN next_slot END, clock_timestamp()) + make_interval(secs => ` + apart + ` * ` + block + `),
			clock_steps = clock_steps + CASE WHEN next_slot > ` + slotAhead + ` OR paused_until > ` + pauseAhead + ` THEN 1 ELSE 0 END,
			paused_until = CASE WHEN paused_until < ` + pauseAhead + ` THEN paused_until ELSE '-infinity' END,
			probe_until = CASE WHEN probing THEN clock_timestamp() + make_interval(secs => $2::float8) ELSE probe_until END
		WHERE account_id = $account AND requests_per_minute > 0 AND NOT ` + inPause + ` AND NOT ` + inProbe + `
		RETURNING extract(epoch FROM next_slot - make_interval(secs => ` + apart + ` * ` + block + `) - clock_timestamp())::float8,
			` + block + `::integer, probing, requests_per_minute, clock_steps`
	pausedSQL = `SELECT extract(epoch FROM greatest(CASE WHEN ` + inPause + ` THEN paused_until END, CASE WHEN ` + inProbe + ` THEN probe_until END, clock_timestamp()) - clock_timestamp())::float8
		FROM $schema.fprom_account WHERE account_id = $account`
	pauseSQL = `UPDATE $schema.fprom_account SET paused_until = greatest(CASE WHEN ` + inPause + ` THEN paused_until END, clock_timestamp() + make_interval(secs => $1::float8)),
		pause_reason = $2, probing = true, probe_until = '-infinity' WHERE account_id = $account`
	probedSQL   = `UPDATE $schema.fprom_account SET probing = false, pause_reason = '' WHERE account_id = $account AND probing AND NOT ` + inPause
	unprobedSQL = `UPDATE $schema.fprom_account SET probe_until = '-infinity' WHERE account_id = $account AND probing`
)

// Pause tells all replicas that the account is paused for d.
func (q *Queue) Pause(ctx context.Context, d time.Duration, reason error) error {
	q.pauses.Add(1)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := q.pool.Exec(ctx, q.store.sql(pauseSQL), d.Seconds(), storable(reason.Error())); err != nil {
		return fmt.Errorf("fprom: riverqueue: pause: %w", err)
	}
	return nil
}

// concludeProbe ends the probe of d: with an answer that shows that the account works, or without a verdict.
func (q *Queue) concludeProbe(ctx context.Context, d *delivery, works bool) {
	if !d.probe {
		return
	}
	sql := unprobedSQL
	if works {
		sql = probedSQL
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := q.pool.Exec(ctx, q.store.sql(sql)); err != nil { // the others wait a few seconds longer
		q.outage.failed("store the end of a probe", err)
	}
}
