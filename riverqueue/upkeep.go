package riverqueue

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// pausedReason is said while River's own queue is paused.
const pausedReason = "the queue fprom is paused in River: resume it in River's UI, or with River's CLI or client"

// The events at the front that may be delivered now and have no job: it was deleted or cancelled by hand, or is lost with its
// process. One that River will rescue itself is in hand for longer than a delivery may take.
var sweepSQL = `SELECT f.key, f.bulk, f.recorded_at FROM (` + front(`NOT l.bulk`) + ` UNION ALL ` + front(`l.bulk`) + `) f
	WHERE NOT EXISTS (SELECT 1 FROM $schema.river_job j WHERE j.args @> jsonb_build_object('key', f.key) AND j.kind = '` + jobKind + `'
		AND (j.state IN ('available', 'pending', 'retryable', 'scheduled') OR j.state = 'running' AND j.attempted_at > now() - make_interval(secs => $1::float8)))`

func front(which string) string {
	return `(SELECT l.key, l.bulk, l.recorded_at FROM $schema.fprom_ledger l WHERE l.account_id = $account AND l.state = 'waiting' AND ` + which + `
		AND NOT ` + of("l", busy) + ` AND ` + of("l", due) + ` AND NOT ` + blocked + ` ORDER BY l.seq LIMIT 1000)`
}

const pruneSQL = `DELETE FROM $schema.fprom_ledger WHERE ctid = ANY (ARRAY(SELECT ctid FROM $schema.fprom_ledger
	WHERE account_id = $account AND state = 'done' AND settled_at < now() - make_interval(secs => $1::float8) ORDER BY settled_at LIMIT 1000))`

// upkeep runs beside the deliveries until ctx ends. Each replica does all of it: to do it twice does no harm.
func (q *Queue) upkeep(ctx context.Context) {
	every := min(time.Minute, q.cfg.Rescue/3)
	var swept, pruned, warned time.Time
	for {
		if q.sleep(ctx, min(every, 5*time.Second)+rand.N(time.Second)) != nil {
			return
		}
		var err error
		if time.Since(swept) > every || q.outage.lasts() {
			swept = time.Now()
			err = q.sweep(ctx)
		}
		if err == nil && time.Since(pruned) > time.Hour {
			pruned = time.Now()
			err = q.prune(ctx)
		}
		if err == nil && time.Since(warned) > 10*time.Minute {
			var paused bool
			if paused, err = q.pausedInRiver(ctx); paused {
				warned = time.Now()
				q.log.Warn("fprom: riverqueue: nothing is delivered: " + pausedReason)
			}
		}
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

// sweep makes the jobs that are missing.
func (q *Queue) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rows, err := q.pool.Query(ctx, q.store.sql(sweepSQL), q.cfg.Rescue.Seconds())
	if err != nil {
		return err
	}
	lost, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (next, error) {
		n := next{found: true}
		err := row.Scan(&n.key, &n.bulk, &n.since)
		return n, err
	})
	for _, n := range lost {
		q.wake(ctx, n)
	}
	if len(lost) > 0 {
		q.log.Info("fprom: riverqueue: events had lost their job in River and got a new one", "events", len(lost))
	}
	return err
}

// prune forgets what was delivered longer than Config.Retention ago, a thousand at a time.
func (q *Queue) prune(ctx context.Context) error {
	for range 100 {
		tag, err := q.pool.Exec(ctx, q.store.sql(pruneSQL), q.cfg.Retention.Seconds())
		if err != nil {
			return err
		}
		if tag.RowsAffected() < 1000 {
			break
		}
	}
	_, err := q.pool.Exec(ctx, q.store.sql(`DELETE FROM $schema.fprom_conflict WHERE refused_at < now() - make_interval(secs => $1::float8)`), q.cfg.Retention.Seconds())
	return err
}

func (q *Queue) pausedInRiver(ctx context.Context) (paused bool, err error) {
	err = q.pool.QueryRow(ctx, q.store.sql(`SELECT EXISTS (SELECT 1 FROM $schema.river_queue WHERE name = '`+jobQueue+`' AND paused_at IS NOT NULL)`)).Scan(&paused)
	return paused, err
}
