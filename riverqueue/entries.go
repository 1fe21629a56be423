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

const entrySQL = `SELECT key, kind, state, outcome, amount, currency, customer, bulk, recorded_at, settled_at, attempts,
	CASE WHEN next_attempt > clock_timestamp() THEN next_attempt END, reason, status_code, promoter_event, commissions, seq, generation, body IS NULL
	FROM $schema.fprom_ledger WHERE account_id = $account AND seq > $1`

var kinds = []string{fprom.KindSale, fprom.KindRefund, fprom.KindSignup, fprom.KindCancellation}

// selection is the SQL of f: all that it selects and perhaps more, which Filter.Match sorts out.
func selection(f fprom.Filter) (sql string, args []any, err error) {
	var after int64 = -1
	if f.After != "" {
		if after, err = strconv.ParseInt(f.After, 10, 64); err != nil {
			return "", nil, &fprom.ValidationError{Field: "Filter.After", Reason: "is no Entry.Cursor of this queue"}
		}
	}
	var b strings.Builder
	b.WriteString(entrySQL)
	args = []any{after}
	where := func(condition string, arg any) {
		args = append(args, arg)
		b.WriteString(" AND " + strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args))))
	}
	if len(f.Keys) > 0 {
		var keys []string
		for _, k := range f.Keys {
			keys = append(keys, k, fprom.SafeKey(k))
			for _, kind := range kinds {
				keys = append(keys, fprom.SafeKey(kind+":"+k))
			}
		}
		where("key = ANY(?)", keys)
	}
	switch f.State {
	case fprom.StateDone, fprom.StateDead: // spelled out, so that the index of the state is used
		b.WriteString(" AND state = '" + string(f.State) + "'")
	case fprom.StateWaiting:
		b.WriteString(" AND state = 'waiting' AND seq >= (SELECT " + firstSQL + ")")
	case "":
	default:
		b.WriteString(" AND false")
	}
	if f.Customer != "" { // what is done has none any more
		where(`seq IN (SELECT seq FROM $schema.fprom_ledger WHERE account_id = $account AND (state = 'waiting' AND customer <> '' OR state = 'dead') AND customer = ANY(?))`, both(f.Customer))
	}
	if f.Kind != "" {
		where("kind = ?", f.Kind)
	}
	if f.StatusCode != 0 {
		where("status_code = ?", f.StatusCode)
	}
	if !f.Since.IsZero() {
		where("recorded_at >= ?", f.Since)
		if f.After == "" { // begin there; "+ 0" keeps PostgreSQL from looking through the whole ledger in its order
			where("seq >= (SELECT coalesce(min(seq + 0), 0) FROM $schema.fprom_ledger WHERE account_id = $account AND recorded_at >= ?)", f.Since)
		}
	}
	if !f.Until.IsZero() {
		where("recorded_at < ?", f.Until)
	}
	b.WriteString(" ORDER BY seq LIMIT " + strconv.Itoa(page))
	return b.String(), args, nil
}

// both are the two ways in which a customer may be stored: an address in lower case, a uid as it is.
func both(customer string) []string { return []string{customer, strings.ToLower(customer)} }

// found is an entry with what the ledger says of it beyond that.
type found struct {
	fprom.Entry
	generation int
	empty      bool // it has no body
}

func scanEntry(row pgx.CollectableRow) (e found, err error) {
	var settled, next *time.Time
	var seq int64
	err = row.Scan(&e.Key, &e.Kind, &e.State, &e.Outcome, &e.Amount, &e.Currency, &e.Customer, &e.Bulk, &e.RecordedAt, &settled, &e.Attempts,
		&next, &e.Reason, &e.StatusCode, &e.ID, &e.CommissionIDs, &seq, &e.generation, &e.empty)
	e.Commissions, e.Cursor = len(e.CommissionIDs), strconv.FormatInt(seq, 10)
	if settled != nil {
		e.SettledAt = *settled
	}
	if next != nil {
		e.NextAttempt = *next
	}
	if e.State == fprom.StateWaiting {
		e.Outcome = fprom.Undelivered
	}
	return e, err
}

// pages reads what f selects, a page at a time, until yield returns false.
func (q *Queue) pages(ctx context.Context, f fprom.Filter, yield func([]found) (bool, error)) error {
	for left := f.Limit; ; {
		if err := q.open(); err != nil {
			return err
		}
		sql, args, err := selection(f)
		if err != nil {
			return err
		}
		rows, err := q.pool.Query(ctx, q.store.sql(sql), args...)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, scanEntry)
		if err != nil || len(all) == 0 {
			return err
		}
		f.After = all[len(all)-1].Cursor
		var some []found
		for _, e := range all {
			if f.Match(e.Entry) && (f.Limit == 0 || len(some) < left) {
				some = append(some, e)
			}
		}
		left -= len(some)
		more, err := yield(some)
		if err != nil || !more || len(all) < page || f.Limit > 0 && left <= 0 {
			return err
		}
	}
}

// Entries implements fprom.Outbox.
func (q *Queue) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		err := q.pages(ctx, f, func(some []found) (bool, error) {
			for _, e := range some {
				if !yield(f.Show(e.Entry), nil) {
					return false, nil
				}
			}
			return true, nil
		})
		if err != nil {
			yield(fprom.Entry{}, fmt.Errorf("fprom: riverqueue: entries: %w", explain(err)))
		}
	}
}
