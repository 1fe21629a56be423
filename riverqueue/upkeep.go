package riverqueue

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	pausedReason  = "the queue fprom is paused in River: resume it in River's UI, or with River's CLI or client"
	pausedInRiver = `EXISTS (SELECT 1 FROM $schema.river_queue WHERE name = '` + liveQueue + `' AND paused_at IS NOT NULL)`
)

// sweepSQL makes a job for each of the oldest ready events that has none, because somebody deleted or cancelled it, or its
// process died. Two kinds of jobs do not count: one that runs for longer than Config.Rescue ($1 seconds), and one whose time
// is a minute ahead, because the clock of the database stepped back or that of a replica is wrong.
var sweepSQL = `WITH candidates AS (` + oldestReady("NOT l.bulk") + ` UNION ALL ` + oldestReady("l.bulk") + `),
	-- EXCEPT reads each job once, whatever the statistics say.
	lost AS MATERIALIZED (SELECT * FROM candidates WHERE key IN (SELECT key FROM candidates EXCEPT SELECT args->>'key' FROM $schema.river_job
		WHERE state IN ('available', 'pending', 'scheduled') AND scheduled_at < now() + interval '1 minute'
			OR state = 'running' AND attempted_at BETWEEN now() - make_interval(secs => $1) AND now() + interval '1 minute')),
	jobs AS (` + jobsSQL + `least(recorded_at, now()) FROM lost)
	SELECT count(*), count(*) FILTER (WHERE ahead), ` + pausedInRiver + ` FROM lost`

// oldestReady selects the oldest ready events. ahead is true if a time of an event shows that the clock stepped back.
func oldestReady(bulk string) string {
	return `(SELECT l.key, l.bulk, l.recorded_at, greatest(l.claimed_until, l.next_attempt) > clock_timestamp() AS ahead
		FROM $schema.fprom_ledger l WHERE l.account_id = $account AND ` + ready + ` AND ` + bulk + ` ORDER BY l.seq LIMIT 1000)`
}

// pruneSQL removes events that were delivered more than Config.Retention ($1 seconds) ago. It removes at most
// 5,000 a minute, more than an account can deliver. It tests the state twice: PostgreSQL before 15.15 does not test ctid
// again in a row that another transaction changed meanwhile.
const pruneSQL = `WITH conflicts AS (DELETE FROM $schema.fprom_conflict WHERE refused_at < now() - make_interval(secs => $1::float8))
	DELETE FROM $schema.fprom_ledger WHERE state = 'done' AND ctid = ANY (ARRAY(SELECT ctid FROM $schema.fprom_ledger
		WHERE account_id = $account AND state = 'done' AND settled_at < now() - make_interval(secs => $1::float8) ORDER BY settled_at LIMIT 5000))`

// upkeep runs until ctx ends, in each replica.
func (q *Queue) upkeep(ctx context.Context) {
	for wait := rand.N(time.Second); q.sleep(ctx, wait) == nil; wait = min(time.Minute, q.cfg.Rescue/3) {
		if err := q.upkeepOnce(ctx); err != nil && ctx.Err() == nil {
			q.outage.failed("upkeep", err)
		}
	}
}

// upkeepOnce makes lost jobs again, removes old events, and warns if River's queue is paused.
func (q *Queue) upkeepOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var lost, ahead int
	var paused bool
	if err := q.row(ctx, q.sql(sweepSQL), q.cfg.Rescue.Seconds()).Scan(&lost, &ahead, &paused); err != nil {
		return err
	}
	if ahead > 0 {
		q.cfg.Logger.Warn(steppedBack, "events", ahead)
	}
	if lost > 0 {
		q.cfg.Logger.Info("fprom: riverqueue: events had lost their job in River and got a new one", "events", lost)
	}
	if paused {
		q.cfg.Logger.Warn("fprom: riverqueue: nothing is delivered: " + pausedReason)
	}
	return q.batch(ctx, func(b *pgx.Batch) { b.Queue(q.sql(pruneSQL), q.cfg.Retention.Seconds()) })
}
