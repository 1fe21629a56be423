package riverqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
)

// countLimit is up to which number Stats counts; beyond it the planner's estimate is taken.
const countLimit = 20_000

var statsSQL = `SELECT
	` + counted(`state = 'waiting' AND NOT bulk`, "fprom_ledger_live") + `,
	` + counted(`state = 'waiting' AND bulk`, "fprom_ledger_bulk") + `,
	` + counted(`state = 'dead'`, "fprom_ledger_dead") + `,
	` + counted(`state <> 'waiting'`, "fprom_ledger_settled") + `,
	(SELECT count(*) FROM $schema.fprom_conflict WHERE account_id = $account),
	coalesce((SELECT recorded_at FROM ` + waiting + ` ORDER BY seq LIMIT 1), ` + noTime + `),
	coalesce((SELECT settled_at FROM $schema.fprom_ledger WHERE account_id = $account AND state <> 'waiting' AND state = 'done' ORDER BY settled_at DESC LIMIT 1), ` + noTime + `),
	EXISTS (SELECT 1 FROM $schema.river_leader WHERE expires_at > now()),
	` + pausedInRiver + `,
	(SELECT coalesce(sum(c % 1000000), 0)::integer FROM unnest(calls) c, extract(epoch FROM clock_timestamp()) now WHERE c / 1000000 BETWEEN now - 60 AND now),
	CASE WHEN ` + inPause + ` THEN paused_until ELSE ` + noTime + ` END, CASE WHEN ` + inPause + ` THEN pause_reason ELSE '' END
	FROM $schema.fprom_account WHERE account_id = $account`

// waiting are the events without an outcome, in the form for which PostgreSQL uses the indexes of live and bulk ones.
const waiting = `(SELECT * FROM $schema.fprom_ledger WHERE account_id = $account AND state = 'waiting' AND NOT bulk
	UNION ALL SELECT * FROM $schema.fprom_ledger WHERE account_id = $account AND state = 'waiting' AND bulk) l`

func counted(which, index string) string {
	return fmt.Sprintf(`(SELECT CASE WHEN n < %d THEN n ELSE greatest(n, (SELECT reltuples FROM pg_class WHERE oid = '$schema.%s'::regclass)::bigint) END
		FROM (SELECT count(*) AS n FROM (SELECT 1 FROM $schema.fprom_ledger WHERE account_id = $account AND %s LIMIT %[1]d) s) s)`, countLimit, index, which)
}

// Stats tells of all replicas together. Its numbers are exact up to 20,000 and beyond that what PostgreSQL estimates (but at
// least 20,000), so that it costs milliseconds however long the backlog is.
func (q *Queue) Stats(ctx context.Context) (fprom.QueueStats, error) {
	var s fprom.QueueStats
	if err := q.open(); err != nil {
		return s, err
	}
	var stopped bool
	err := q.pool.QueryRow(ctx, q.sql(statsSQL)).Scan(&s.Pending, &s.Bulk, &s.Dead, &s.Ledger, &s.Conflicts, &s.Oldest, &s.LastSuccess,
		&s.Delivering, &stopped, &s.LastMinute, &s.PausedUntil, &s.PauseReason)
	if err != nil {
		return s, fmt.Errorf("fprom: riverqueue: stats: %w", explain(err))
	}
	s.Ledger = max(s.Ledger-s.Dead, 0) // counted together, by one index
	if stopped {
		s.PauseReason, s.Delivering = pausedReason, false
	}
	return s, nil
}

const markSQL = `SELECT coalesce(max(seq), 0) FROM $schema.fprom_ledger WHERE account_id = $account`

// firstSQL is the place of the first event that waits.
const firstSQL = `min(seq) FROM ` + waiting

// leftSQL: is one left that was stored before the mark $1, and is one of those under way, or due in $2 seconds with nothing
// of its customer before it that is neither?
const leftSQL = `WITH w AS (SELECT *, claimed_until` + underWay + ` AS busy, next_attempt <= clock_timestamp() + make_interval(secs => $2) OR next_attempt NOT` + notDue + ` AS due FROM ` + waiting + ` WHERE seq <= $1)
	SELECT EXISTS (SELECT 1 FROM w), EXISTS (SELECT 1 FROM w WHERE busy OR due AND NOT EXISTS (SELECT 1 FROM $schema.fprom_ledger o
		WHERE o.account_id = $account AND o.customer = w.customer AND o.customer <> '' AND o.state = 'waiting' AND o.seq < w.seq AND NOT o.aside
			AND o.claimed_until NOT` + underWay + ` AND o.next_attempt` + notDue + `
			AND o.next_attempt > clock_timestamp() + make_interval(secs => $2)))`

// Flush waits until every event of the schema that was stored before the call, by whichever process, has an outcome.
func (q *Queue) Flush(ctx context.Context) error {
	const fastest, slowest = 10 * time.Millisecond, 500 * time.Millisecond
	if err := q.open(); err != nil {
		return err
	}
	var mark int64
	if err := q.pool.QueryRow(ctx, q.sql(markSQL)).Scan(&mark); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("fprom: riverqueue: flush: %w", explain(err))
	}
	for wait := fastest; ; wait = min(2*wait, slowest) {
		var left, soon bool
		secs := 1e9 // without a deadline, everything is due some time
		if end, ok := ctx.Deadline(); ok {
			secs = time.Until(end).Seconds()
		}
		err := q.pool.QueryRow(ctx, q.sql(leftSQL), mark, secs).Scan(&left, &soon)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			q.outage.failed("flush", err)
		case !left:
			return nil
		case !soon:
			return fmt.Errorf("fprom: riverqueue: flush: %w", fprom.ErrNotDue)
		}
		if err := q.sleep(ctx, wait); err != nil {
			return err
		}
	}
}
