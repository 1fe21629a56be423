package riverqueue

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	pausedReason = `coalesce('the queue ' || paused || ' is paused in River: resume it in River''s UI, or with River''s CLI or client', '')`
	// pausedInRiver has the queue that is paused: that of live events (stands), or else that of bulk events if some wait. NULL: none is.
	pausedInRiver = `(SELECT min(name) AS paused, min(name) IS NOT DISTINCT FROM '` + liveQueue + `' AS stands FROM $schema.river_queue
		WHERE paused_at IS NOT NULL AND (name = '` + liveQueue + `' OR name = '` + bulkQueue + `'
		AND EXISTS (SELECT 1 FROM $schema.fprom_ledger WHERE account_id = $account AND state = 'waiting' AND bulk))) river`
)

// sweepSQL makes a job for each of the oldest ready events that has none, because somebody deleted or cancelled the job, or its process
// died. These jobs do not count: those that run for longer than Config.Rescue ($1 seconds), those whose time is a minute ahead, because a
// clock stepped back or is wrong, and bulk jobs of events that became live, which could wait for all other live events.
const sweepSQL = `WITH candidates AS ((SELECT * FROM $schema.fprom_ready WHERE NOT bulk ORDER BY seq LIMIT 1000)
		UNION ALL (SELECT * FROM $schema.fprom_ready WHERE bulk ORDER BY seq LIMIT 1000)),
	-- EXCEPT reads each job once, whatever the statistics say.
	lost AS MATERIALIZED (SELECT * FROM candidates WHERE (key, bulk) IN (SELECT key, bulk FROM candidates
		EXCEPT SELECT args->>'key', queue = '` + bulkQueue + `' FROM $schema.river_job WHERE state IN ('available', 'pending', 'scheduled') AND scheduled_at < now() + interval '1 minute'
			OR state = 'running' AND attempted_at BETWEEN now() - make_interval(secs => $1) AND now() + interval '1 minute'))
	-- A time of an event that is ready lies ahead only if the clock stepped back.
	SELECT count($schema.fprom_wake(key, bulk, least(greatest(recorded_at, next_attempt), now()))), count(*) FILTER (WHERE greatest(claimed_until, next_attempt) > clock_timestamp()),
		(SELECT ` + pausedReason + ` FROM ` + pausedInRiver + `), EXISTS (SELECT 1 FROM $schema.river_queue WHERE name NOT IN ('` + liveQueue + `', '` + bulkQueue + `')) FROM lost`

// pruneSQL removes events that were delivered more than Config.Retention ($1 seconds) ago. It removes at most
// 5,000 a minute, more than an account can deliver. It leaves those that another transaction is changing: to wait for it
// could deadlock with a transaction of the application.
const pruneSQL = `WITH conflicts AS (DELETE FROM $schema.fprom_conflict WHERE refused_at < now() - make_interval(secs => $1::float8))
	DELETE FROM $schema.fprom_ledger WHERE ctid = ANY (ARRAY(SELECT ctid FROM $schema.fprom_ledger
		WHERE account_id = $account AND state = 'done' AND settled_at < now() - make_interval(secs => $1::float8) ORDER BY settled_at LIMIT 5000 FOR UPDATE SKIP LOCKED))`

// upkeep runs until ctx ends, in each replica.
func (q *Queue) upkeep(ctx context.Context) {
	for delay := rand.N(time.Second); wait(ctx, q, time.After(delay)) == nil; delay = min(time.Minute, q.cfg.Rescue/3) {
		if err := q.upkeepOnce(ctx); ctx.Err() == nil {
			q.note("upkeep", err)
		}
	}
}

// upkeepOnce makes lost jobs again, removes old events, and warns if River's queue is paused or its tables are shared.
func (q *Queue) upkeepOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	lost, ahead, paused, shared := 0, 0, "", false
	if err := q.row(ctx, q.sql(sweepSQL), q.cfg.Rescue.Seconds()).Scan(&lost, &ahead, &paused, &shared); err != nil {
		return err
	}
	if ahead > 0 {
		q.cfg.Logger.Warn(steppedBack, "events", ahead)
	}
	if lost > 0 {
		q.cfg.Logger.Info("fprom: riverqueue: events had lost their job in River and got a new one", "events", lost)
	}
	if paused != "" {
		q.cfg.Logger.Warn("fprom: riverqueue: " + paused + "; nothing is delivered from it")
	}
	if shared {
		q.cfg.Logger.Warn("fprom: riverqueue: another River client works in the schema, and its jobs may be discarded: give Config.Schema a schema of its own", "schema", q.cfg.Schema)
	}
	return q.row(ctx, q.sql(pruneSQL), q.cfg.Retention.Seconds()).Scan()
}
