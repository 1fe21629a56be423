package riverqueue

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// pausedReason is said while River's own queue is paused.
const (
	pausedReason  = "the queue fprom is paused in River: resume it in River's UI, or with River's CLI or client"
	pausedInRiver = `EXISTS (SELECT 1 FROM $schema.river_queue WHERE name = '` + liveQueue + `' AND paused_at IS NOT NULL)`
)

// sweepSQL makes jobs of the events at the front that may be delivered now and have none: it was deleted or cancelled by
// hand, or is lost with its process. One that River will rescue itself is in hand for longer than a delivery may take. One
// whose time lies ahead is from before the database's clock stepped back, or of a replica whose clock is wrong: the event is
// due now.
const sweepSQL = `WITH l AS (` + front + ` NOT l.bulk` + frontEnd + ` UNION ALL ` + front + ` l.bulk` + frontEnd + `),
	m AS MATERIALIZED (SELECT * FROM l WHERE NOT EXISTS (SELECT 1 FROM $schema.river_job j WHERE j.args @> jsonb_build_object('key', l.key) AND j.kind = '` + jobKind + `'
		AND (j.state IN ('available', 'pending', 'scheduled') AND j.scheduled_at < now() + interval '1 minute'
			OR j.state = 'running' AND j.attempted_at BETWEEN now() - make_interval(secs => $1) AND now() + interval '1 minute'))),
	j AS (` + jobsSQL + `least(recorded_at, now()) FROM m)
	SELECT count(*), count(*) FILTER (WHERE ahead) FROM m`

const (
	front    = `(SELECT l.key, l.bulk, l.recorded_at, greatest(l.claimed_until, l.next_attempt) > clock_timestamp() AS ahead FROM $schema.fprom_ledger l WHERE l.account_id = $account AND ` + ready + ` AND`
	frontEnd = ` ORDER BY l.seq LIMIT 1000)`
)

// pruneSQL forgets what was delivered longer than Config.Retention ago: at most 5,000 events a minute, of which the account can
// make no more. PostgreSQL before 15.15 does not look at ctid again in a row that another transaction changed meanwhile, but at
// state.
const pruneSQL = `WITH c AS (DELETE FROM $schema.fprom_conflict WHERE refused_at < now() - make_interval(secs => $1::float8))
	DELETE FROM $schema.fprom_ledger WHERE state = 'done' AND ctid = ANY (ARRAY(SELECT ctid FROM $schema.fprom_ledger
		WHERE account_id = $account AND state = 'done' AND settled_at < now() - make_interval(secs => $1::float8) ORDER BY settled_at LIMIT 5000))`

// upkeep runs beside the deliveries until ctx ends. Each replica does all of it: to do it twice does no harm.
func (q *Queue) upkeep(ctx context.Context) {
	for wait := rand.N(time.Second); q.sleep(ctx, wait) == nil; wait = min(time.Minute, q.cfg.Rescue/3) {
		err := q.tend(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			q.outage.failed("upkeep", err)
		default:
			q.outage.over()
		}
	}
}

// tend makes the jobs that are missing, forgets what is old, and says that River's queue is paused.
func (q *Queue) tend(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var lost, ahead int
	if err := q.row(ctx, q.sql(sweepSQL), q.cfg.Rescue.Seconds()).Scan(&lost, &ahead); err != nil {
		return err
	}
	if ahead > 0 {
		q.cfg.Logger.Warn(steppedBack, "events", ahead)
	}
	if lost > 0 {
		q.cfg.Logger.Info("fprom: riverqueue: events had lost their job in River and got a new one", "events", lost)
	}
	if err := q.batch(ctx, func(b *pgx.Batch) { b.Queue(q.sql(pruneSQL), q.cfg.Retention.Seconds()) }); err != nil {
		return err
	}
	var paused bool
	err := q.pool.QueryRow(ctx, q.sql(`SELECT `+pausedInRiver)).Scan(&paused)
	if paused {
		q.cfg.Logger.Warn("fprom: riverqueue: nothing is delivered: " + pausedReason)
	}
	return err
}
