package riverqueue

import (
	"cmp"
	"context"
	"iter"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
	"github.com/fprom-go/fprom/internal/paging"
)

// pageSize is the number of entries that one statement reads.
const pageSize = 500

// noTime is Go's zero time.
const noTime = `'0001-01-01Z'::timestamptz`

// filterSQL is true for a row l of the ledger that a fprom.Filter selects. filterArgs has its arguments.
const filterSQL = `l.account_id = $account AND l.seq > @after
	AND (@keys::text[] IS NULL OR l.seq = ANY(ARRAY(SELECT (SELECT seq FROM $schema.fprom_ledger WHERE account_id = $account AND key = k) FROM unnest(@keys) k)))
	AND (@state::text = '' OR l.state = @state)
	-- Rows before the first waiting event are not read.
	AND (@state::text <> 'waiting' OR l.seq >= (SELECT min(seq) FROM $schema.fprom_waiting))
	AND (@outcome::text = '' OR CASE l.state WHEN 'waiting' THEN 'undelivered' ELSE l.outcome END = @outcome)
	-- The state follows from some outcomes: with it PostgreSQL can use the indexes by state.
	AND (@outcome::text <> 'rejected' OR l.state = 'dead')
	AND (@outcome::text <> 'undelivered' OR l.state = 'dead' OR l.state = 'waiting' AND l.bulk OR l.state = 'waiting' AND NOT l.bulk)
	AND (@kind::text = '' OR l.kind = @kind)
	AND (@customer::text = '' OR l.seq = ANY(ARRAY(SELECT seq FROM $schema.fprom_ledger
		WHERE account_id = $account AND (state = 'waiting' AND customer <> '' OR state = 'dead') AND customer = @customer)))
	AND (@since::timestamptz = ` + noTime + ` OR l.recorded_at >= @since)
	-- Rows before the first one from @since to @until are not read. "seq + 0" makes PostgreSQL use the index on recorded_at.
	AND (@since::timestamptz = ` + noTime + ` OR @after >= 0 OR l.seq >= (SELECT min(seq + 0) FROM $schema.fprom_ledger
		WHERE account_id = $account AND recorded_at >= @since AND (@until::timestamptz = ` + noTime + ` OR recorded_at < @until)))
	AND (@until::timestamptz = ` + noTime + ` OR l.recorded_at < @until)
	AND (@reason::text = '' OR strpos(lower(l.reason), lower(@reason)) > 0)
	AND (@status::integer = 0 OR l.status_code = @status)`

const entriesSQL = `SELECT key, kind, state, CASE state WHEN 'waiting' THEN 'undelivered' ELSE outcome END AS outcome, amount, currency, customer, bulk, recorded_at,
	coalesce(settled_at, ` + noTime + `) AS settled_at, attempts, CASE WHEN $schema.fprom_ahead(next_attempt) THEN next_attempt ELSE ` + noTime + ` END AS next_attempt,
	reason, status_code, promoter_event AS id, coalesce(cardinality(commissions), 0) AS commissions, commissions AS commission_ids, l.seq::text AS cursor
	FROM $schema.fprom_ledger l WHERE ` + filterSQL + ` ORDER BY l.seq LIMIT @limit`

// filterArgs returns the arguments of a statement with filterSQL. In QueryExecModeCacheDescribe PostgreSQL plans each call for its own
// values, so that it uses the index that fits.
func filterArgs(f fprom.Filter, maxRows int) ([]any, error) {
	after, err := strconv.ParseInt(cmp.Or(f.After, "-1"), 10, 64)
	if err != nil {
		return nil, &fprom.ValidationError{Field: "Filter.After", Reason: "is no Entry.Cursor of this queue"}
	}
	return []any{pgx.QueryExecModeCacheDescribe, pgx.StrictNamedArgs{
		"after": after, "keys": f.SafeKeys(), "state": string(f.State), "outcome": string(f.Outcome), "kind": f.Kind, "customer": backlog.Customer(f.Customer),
		"since": f.Since, "until": f.Until, "reason": f.Reason, "status": f.StatusCode, "limit": min(cmp.Or(max(f.Limit, 0), maxRows), maxRows),
	}}, nil
}

// Entries implements fprom.Outbox. An event gets its place when it is put, and is seen when its transaction has ended. So a
// reader that goes on with Filter.After misses an event that was put before the last entry, but committed after it was read.
func (q *Queue) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return paging.Entries(f, pageSize, func(f fprom.Filter) ([]fprom.Entry, error) {
		args, err := filterArgs(f, pageSize)
		if err = cmp.Or(q.ready(ctx), err); err != nil {
			return nil, explain("entries", err)
		}
		rows, _ := q.pool.Query(ctx, q.sql(entriesSQL), args...) // CollectRows returns its error
		page, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[fprom.Entry])
		return page, explain("entries", err)
	})
}
