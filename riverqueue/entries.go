package riverqueue

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

const page = 500

// filterSQL is true for a row l that a fprom.Filter selects, whose arguments are those of filterArgs. PostgreSQL plans it
// anew for the arguments of each call (QueryExecModeExec), without what was not asked for, so that the indexes are used. "+ 0"
// keeps it from looking through the whole ledger in its order.
const filterSQL = `l.account_id = $account AND l.seq > $1
	AND ($2::text[] IS NULL OR l.key = ANY($2))
	AND ($3::text = '' OR l.state = $3)
	AND ($3::text <> 'waiting' OR l.seq >= (SELECT ` + firstSQL + `))
	AND ($4::text = '' OR CASE l.state WHEN 'waiting' THEN 'undelivered' ELSE l.outcome END = $4)
	AND ($5::text = '' OR l.kind = $5)
	AND ($6::text[] IS NULL OR l.seq = ANY(ARRAY(SELECT seq FROM $schema.fprom_ledger
		WHERE account_id = $account AND (state = 'waiting' AND customer <> '' OR state = 'dead') AND customer = ANY($6))))
	AND ($7::timestamptz IS NULL OR l.recorded_at >= $7)
	AND ($7::timestamptz IS NULL OR $1 >= 0 OR l.seq >= (SELECT coalesce(min(seq + 0), 0) FROM $schema.fprom_ledger WHERE account_id = $account AND recorded_at >= $7))
	AND ($8::timestamptz IS NULL OR l.recorded_at < $8)
	AND ($9::text = '' OR strpos(lower(l.reason), lower($9)) > 0)
	AND ($10::integer = 0 OR l.status_code = $10)`

// noTime is Go's zero time.
const noTime = `'0001-01-01Z'::timestamptz`

const entriesSQL = `SELECT key, kind, state, outcome, amount, currency, customer, bulk, recorded_at, coalesce(settled_at, ` + noTime + `), attempts,
	CASE WHEN next_attempt` + notDue + ` THEN next_attempt ELSE ` + noTime + ` END, reason, status_code, promoter_event, commissions, l.seq::text AS cursor
	FROM $schema.fprom_ledger l WHERE ` + filterSQL + ` ORDER BY l.seq LIMIT $11`

// filterArgs are the arguments of filterSQL.
func filterArgs(f fprom.Filter) ([]any, error) {
	after := int64(-1)
	if f.After != "" {
		var err error
		if after, err = strconv.ParseInt(f.After, 10, 64); err != nil {
			return nil, &fprom.ValidationError{Field: "Filter.After", Reason: "is no Entry.Cursor of this queue"}
		}
	}
	var customers []string
	if f.Customer != "" {
		customers = both(f.Customer)
	}
	return []any{
		pgx.QueryExecModeExec, after, f.SafeKeys(), string(f.State), string(f.Outcome), f.Kind, customers, timeOrNull(f.Since), timeOrNull(f.Until), f.Reason, f.StatusCode,
	}, nil
}

// both are the two ways in which a customer may be stored: an address in lower case, a uid as it is.
func both(customer string) []string { return []string{customer, strings.ToLower(customer)} }

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Entries implements fprom.Outbox.
func (q *Queue) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		for left := f.Limit; ; {
			want := page
			if f.Limit > 0 {
				want = min(page, left)
			}
			some, err := q.entries(ctx, f, want)
			if err != nil {
				yield(fprom.Entry{}, fmt.Errorf("fprom: riverqueue: entries: %w", explain(err)))
				return
			}
			for _, e := range some {
				if !yield(f.Show(e), nil) {
					return
				}
				f.After = e.Cursor
			}
			if left -= len(some); len(some) < page || f.Limit > 0 && left == 0 {
				return
			}
		}
	}
}

// entries are the first n that f selects.
func (q *Queue) entries(ctx context.Context, f fprom.Filter, n int) ([]fprom.Entry, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	args, err := filterArgs(f)
	if err != nil {
		return nil, err
	}
	rows, _ := q.pool.Query(ctx, q.sql(entriesSQL), append(args, n)...) // CollectRows returns its error
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e fprom.Entry, err error) {
		err = row.Scan(&e.Key, &e.Kind, &e.State, &e.Outcome, &e.Amount, &e.Currency, &e.Customer, &e.Bulk, &e.RecordedAt, &e.SettledAt, &e.Attempts,
			&e.NextAttempt, &e.Reason, &e.StatusCode, &e.ID, &e.CommissionIDs, &e.Cursor)
		e.Commissions = len(e.CommissionIDs)
		if e.State == fprom.StateWaiting {
			e.Outcome = fprom.Undelivered
		}
		return e, err
	})
}
