package riverqueue

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

// countLimit is the largest number that Stats counts. Beyond it, Stats takes PostgreSQL's estimate.
const countLimit = 20_000

var statsSQL = `SELECT
	` + countSQL(`state = 'waiting' AND NOT bulk`, "fprom_ledger_live") + ` AS pending,
	` + countSQL(`state = 'waiting' AND bulk`, "fprom_ledger_bulk") + ` AS bulk,
	` + countSQL(`state = 'dead'`, "fprom_ledger_dead") + ` AS dead,
	` + countSQL(`state <> 'waiting'`, "fprom_ledger_settled") + ` AS ledger,
	(SELECT count(*) FROM $schema.fprom_conflict WHERE account_id = $account) AS conflicts,
	coalesce((SELECT recorded_at FROM $schema.fprom_waiting ORDER BY seq LIMIT 1), ` + noTime + `) AS oldest,
	coalesce((SELECT max(settled_at) FROM $schema.fprom_ledger WHERE account_id = $account AND state = 'done' AND settled_at <= now()), ` + noTime + `) AS last_success, -- not a later one: the clock may have been ahead
	-- River takes some seconds to make another replica the leader.
	NOT stands AND (@running OR EXISTS (SELECT 1 FROM $schema.river_leader WHERE expires_at > now())) AS delivering,
	(SELECT coalesce(sum(c % 1000000), 0)::integer FROM unnest(calls) c, extract(epoch FROM clock_timestamp()) now WHERE c / 1000000 BETWEEN now - 60 AND now) AS last_minute,
	CASE WHEN NOT stands AND ` + inPause + ` THEN paused_until ELSE ` + noTime + ` END AS paused_until,
	CASE WHEN NOT stands AND ` + inPause + ` THEN pause_reason ELSE ` + pausedReason + ` END AS pause_reason
	FROM $schema.fprom_account, ` + pausedInRiver + ` WHERE account_id = $account`

// countSQL counts the events that fulfil a condition, for which there is an index.
func countSQL(condition, index string) string {
	return fmt.Sprintf(`(SELECT CASE WHEN n < %d THEN n ELSE greatest(n, (SELECT reltuples FROM pg_class WHERE oid = '$schema.%s'::regclass)::bigint) END
		FROM (SELECT count(*) AS n FROM (SELECT 1 FROM $schema.fprom_ledger WHERE account_id = $account AND %s LIMIT %[1]d) s) s)`, countLimit, index, condition)
}

// Stats counts for all replicas together. It costs milliseconds, however many events wait: beyond 20,000 it returns
// PostgreSQL's estimate.
func (q *Queue) Stats(ctx context.Context) (fprom.QueueStats, error) {
	if err := q.ready(ctx); err != nil {
		return fprom.QueueStats{}, explain("stats", err)
	}
	rows, _ := q.pool.Query(ctx, q.sql(statsSQL), pgx.StrictNamedArgs{"running": q.running.Load()}) // CollectExactlyOneRow returns its error
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByNameLax[fprom.QueueStats])
	s.Ledger = max(s.Ledger-s.Dead, 0) // one index has both
	return s, explain("stats", err)
}

// flushSQL asks about the events up to seq $1: does one wait, and is one under way or due within $2 seconds? One that is under way was due
// before. Like fprom_claim, it does not read live events that are due later.
const flushSQL = `WITH waiting AS NOT MATERIALIZED (SELECT * FROM $schema.fprom_ledger WHERE account_id = $account AND state = 'waiting' AND seq <= $1),
		live AS NOT MATERIALIZED (SELECT * FROM waiting WHERE NOT bulk AND next_attempt < 'infinity')
	SELECT EXISTS (SELECT 1 FROM $schema.fprom_waiting WHERE seq <= $1),
		EXISTS (SELECT 1 FROM ((SELECT * FROM live WHERE next_attempt <= now() + make_interval(secs => $2) ORDER BY next_attempt)
			UNION ALL SELECT * FROM live WHERE next_attempt > now() + interval '61 minutes'
			UNION ALL SELECT * FROM waiting WHERE bulk AND (next_attempt <= now() + make_interval(secs => $2) OR next_attempt > now() + interval '61 minutes')) due
			-- An earlier event of its customer that is due later holds it up.
			WHERE NOT EXISTS (SELECT 1 FROM $schema.fprom_ledger o WHERE o.account_id = $account AND o.customer = due.customer AND o.customer <> '' AND o.state = 'waiting'
				AND o.seq < due.seq AND NOT o.aside AND o.next_attempt > now() + make_interval(secs => $2) AND $schema.fprom_ahead(o.next_attempt)))`

// Flush waits until every event that any process stored in the schema before the call has an outcome.
func (q *Queue) Flush(ctx context.Context) error {
	var last int64
	err := q.ready(ctx)
	if err == nil {
		err = q.pool.QueryRow(ctx, q.sql(`SELECT coalesce(max(seq), 0) FROM $schema.fprom_ledger WHERE account_id = $account`)).Scan(&last)
	}
	if err != nil {
		return cmp.Or(ctx.Err(), explain("flush", err))
	}
	defer q.note("flush", nil)
	for delay := 10 * time.Millisecond; ; delay = min(2*delay, pollTime) {
		var left, soon bool
		secs := 1e9 // without a deadline every event is due in time
		if end, ok := ctx.Deadline(); ok {
			secs = time.Until(end).Seconds()
		}
		err := q.pool.QueryRow(ctx, q.sql(flushSQL), pgx.QueryExecModeExec, last, secs).Scan(&left, &soon) // this mode plans each call for its own values, in every pool
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			q.note("flush", err)
		case !left:
			return nil
		case !soon:
			return explain("flush", fprom.ErrNotDue)
		}
		if err := wait(ctx, q, time.After(delay)); err != nil {
			return err
		}
	}
}
