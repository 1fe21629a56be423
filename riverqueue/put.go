package riverqueue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/renewal"
)

// Put stores messages and the River jobs that wake them in one statement.
func (q *Queue) Put(ctx context.Context, ms ...fprom.Message) error {
	if err := q.open(); err != nil {
		return err
	}
	err := q.put(ctx, q.row, ms)
	for try := 1; try < 3 && sqlState(err) == "40P01"; try++ { // a deadlock with a transaction that called EnqueueTx more than once
		err = q.put(ctx, q.row, ms)
	}
	if err == nil || errors.Is(err, fprom.ErrConflict) {
		return err
	}
	return fmt.Errorf("fprom: riverqueue: put: %w", explain(err))
}

// EnqueueTx stores events in the caller's transaction: with its commit they will be delivered, without it they never
// existed. Call it beside the statement that marks the order as paid. It needs no Tracker in this process; some process
// must run a Tracker on the same schema. With database/sql use EnqueueSQLTx.
//
// No middleware fills in who brought the customer, as it does for fprom.Record: call fprom.AttributionFrom(r).Apply(&sale)
// first, or keep the Attribution with the order.
//
// An event whose id is in the ledger stores nothing and is no error. If its amount or currency is another than the stored
// one's, the error is a *fprom.ConflictError, which wraps fprom.ErrConflict, the other events are stored, and the
// transaction is sound: log the error and commit. Any other error (*fprom.ValidationError, the database's) means that the
// transaction must be rolled back. An event id that another transaction has stored and not yet committed makes the call
// wait for its end. In a transaction that is REPEATABLE READ or SERIALIZABLE this may end as a serialization failure
// (40001): run the whole transaction again, as always there. All events of a transaction belong into one call: two calls
// with the same ids in another order can deadlock with each other, as two UPDATEs can.
//
// Delivery begins some milliseconds after the commit, or, if the process stored other events in the 20 ms before the call,
// within a second. A Tracker neither counts nor observes these events before that.
func (q *Queue) EnqueueTx(ctx context.Context, tx pgx.Tx, events ...fprom.Event) error {
	return q.enqueue(ctx, tx.QueryRow, events)
}

// EnqueueSQLTx is EnqueueTx for a transaction of database/sql, and of what builds on it (sqlx, GORM, ent, bun), with
// PostgreSQL's driver github.com/jackc/pgx/v5/stdlib or github.com/lib/pq.
func (q *Queue) EnqueueSQLTx(ctx context.Context, tx *sql.Tx, events ...fprom.Event) error {
	return q.enqueue(ctx, func(ctx context.Context, sql string, args ...any) pgx.Row {
		return tx.QueryRowContext(ctx, sql, args...)
	}, events)
}

func (q *Queue) enqueue(ctx context.Context, tx queryRow, events []fprom.Event) error {
	ms := make([]fprom.Message, len(events))
	for i, e := range events {
		var err error
		if ms[i], err = fprom.NewMessage(e); err != nil {
			return err
		}
	}
	err := q.put(ctx, tx, ms)
	if err == nil || errors.Is(err, fprom.ErrConflict) {
		return err
	}
	return fmt.Errorf("fprom: riverqueue: enqueue: %w", explain(err))
}

// row is a message as putSQL takes it.
type row struct {
	Key      string    `json:"key"` // fprom.SafeKey
	ClearKey *string   `json:"clear_key"`
	Kind     string    `json:"kind"`
	Customer string    `json:"customer"`
	Body     string    `json:"body"`
	Amount   int64     `json:"amount"`
	Currency string    `json:"currency"`
	Digest   int64     `json:"digest"` // fprom.Message.Digest, bit for bit
	Bulk     bool      `json:"bulk"`
	Repeats  bool      `json:"repeats"`
	At       time.Time `json:"recorded_at"`

	key string // Message.Key
}

func rowsOf(ms []fprom.Message) []row {
	rows := make([]row, len(ms))
	for i, m := range ms {
		r := row{
			Key: fprom.SafeKey(m.Key), Kind: m.Kind, Customer: m.Customer, Body: string(m.Body), Digest: int64(m.Digest),
			Bulk: m.Bulk, Repeats: m.Repeats(), At: m.RecordedAt, key: m.Key,
		}
		r.Amount, r.Currency = m.Money()
		if r.Key != m.Key {
			r.ClearKey = &m.Key
		}
		rows[i] = r
	}
	return rows
}

const (
	fields  = `key, clear_key, seq, kind, customer, body, amount, currency, digest, bulk, recorded_at`
	columns = `account_id, ` + fields
)

// putSQL takes rows with different keys ($1) and says of each key how many seconds older the event is that stands under it: 0
// if it was stored now, null if it asks for other money. Of a key that another transaction changed meanwhile it says nothing. A dead letter, or a
// cancellation that is done, is replaced. $2: notify the replicas. New rows are written in the order of their keys, so that
// two transactions with the same keys do not wait for each other. A row is replaced by way of ON CONFLICT, which uses the
// primary key whatever the plan is: PostgreSQL keeps one that it made for an empty ledger.
const putSQL = `WITH m AS MATERIALIZED (SELECT *, nextval('$schema.fprom_seq') AS seq FROM jsonb_to_recordset($1::text::jsonb) AS m(key text, clear_key text,
		kind text, customer text, body text, amount bigint, currency text, digest bigint, bulk boolean, repeats boolean, recorded_at timestamptz)),
	fresh AS (INSERT INTO $schema.fprom_ledger (` + columns + `) SELECT $account, ` + fields + ` FROM m ORDER BY key
		ON CONFLICT (account_id, key) DO NOTHING RETURNING key, seq, bulk),
	known AS MATERIALIZED (SELECT m.key, m.digest, l.digest = m.digest AS same, l.state = 'dead' OR l.state = 'done' AND m.repeats AS free,
			extract(epoch FROM m.recorded_at - l.recorded_at) AS age
		FROM m CROSS JOIN LATERAL (SELECT digest, state, recorded_at FROM $schema.fprom_ledger WHERE account_id = $account AND key = m.key LIMIT 1) l
		WHERE m.key NOT IN (SELECT key FROM fresh)),
	again AS (INSERT INTO $schema.fprom_ledger AS l (` + columns + `) SELECT $account, ` + fields + ` FROM m WHERE key IN (SELECT key FROM known WHERE free) ORDER BY key
		ON CONFLICT (account_id, key) DO UPDATE SET clear_key = EXCLUDED.clear_key, seq = EXCLUDED.seq, customer = EXCLUDED.customer, body = EXCLUDED.body,
			amount = EXCLUDED.amount, currency = EXCLUDED.currency, digest = EXCLUDED.digest, bulk = EXCLUDED.bulk, recorded_at = EXCLUDED.recorded_at,
			state = 'waiting', generation = l.generation + 1, attempts = 0,
			settled_at = NULL, outcome = '', reason = '', status_code = 0, promoter_event = 0, commissions = NULL
		WHERE l.state = 'dead' OR l.state = 'done' AND (SELECT repeats FROM m WHERE m.key = l.key) RETURNING key, seq, bulk),
	stored AS (SELECT * FROM fresh UNION ALL SELECT * FROM again),
	refused AS (INSERT INTO $schema.fprom_conflict (account_id, key, digest) SELECT $account, key, digest FROM known
		WHERE NOT free AND NOT same ORDER BY key ON CONFLICT DO NOTHING),
	jobs AS (` + jobsSQL + `now() FROM stored ORDER BY seq)
	SELECT coalesce((SELECT jsonb_object_agg(key, age) FROM (SELECT key, 0 AS age FROM stored UNION ALL SELECT key, CASE WHEN same THEN age END FROM known WHERE NOT free) a), '{}')::text
		|| coalesce((SELECT ` + notifySQL + `::text WHERE $2 AND EXISTS (SELECT 1 FROM stored WHERE NOT bulk)), '')`

// put stores what is new of ms. The error is a *fprom.ConflictError if the rest is stored.
func (q *Queue) put(ctx context.Context, db queryRow, ms []fprom.Message) error {
	if len(ms) == 0 {
		return nil
	}
	if err := q.check(ctx, db); err != nil {
		return err
	}
	var refused []string
	rows := rowsOf(ms)
	for try := 0; len(rows) > 0; try++ {
		if try > len(ms)+2 {
			return errors.New("events with the same ids come and go in other transactions; try again")
		}
		now, later := unique(rows)
		in, err := json.Marshal(now)
		if err != nil {
			return err
		}
		var out string
		if err := db(ctx, q.sql(putSQL), string(in), q.mayNotify()).Scan(&out); err != nil {
			return err
		}
		var ages map[string]*float64
		if err := json.Unmarshal([]byte(out), &ages); err != nil {
			return err
		}
		for _, r := range now {
			age, told := ages[r.Key]
			switch {
			case !told:
				later = append(later, r)
			case age == nil:
				refused = append(refused, r.key)
			default:
				renewal.Warn(q.cfg.Logger, r.Kind, r.Key, r.Bulk, time.Duration(*age*float64(time.Second)))
			}
		}
		rows = later
	}
	if len(refused) > 0 {
		return &fprom.ConflictError{Keys: refused}
	}
	return nil
}

// unique are the first rows with each key, and the rest.
func unique(rows []row) (first, rest []row) {
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.Key] {
			rest = append(rest, r)
		} else {
			first, seen[r.Key] = append(first, r), true
		}
	}
	return first, rest
}
