package riverqueue

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/renewal"
)

// Put implements fprom.Queue.
func (q *Queue) Put(ctx context.Context, ms ...fprom.Message) error {
	if err := q.errClosed(); err != nil {
		return err
	}
	err := q.put(ctx, q.row, ms)
	for try := 1; try < 3 && sqlState(err) == "40P01"; try++ { // deadlock with a transaction that calls EnqueueTx twice
		err = q.put(ctx, q.row, ms)
	}
	if err == nil || errors.Is(err, fprom.ErrConflict) {
		return err
	}
	return fmt.Errorf("fprom: riverqueue: put: %w", explain(err))
}

// EnqueueTx stores events in the caller's transaction. If the transaction commits, the events will be delivered. If it rolls
// back, they never existed. Some process must run a Tracker on the same schema. With database/sql use EnqueueSQLTx.
//
// No middleware fills in who brought the customer, as it does for fprom.Record. Call fprom.AttributionFrom(r).Apply(&sale)
// first, or store the Attribution with the order.
//
// If the id of an event is in the ledger, the event is not stored again, and that is no error. If its amount or currency
// differs from the stored one, the error is a *fprom.ConflictError, which wraps fprom.ErrConflict, and the other events are
// stored: log the error and commit. After any other error, such as a *fprom.ValidationError, roll back.
//
// The call waits for the end of another transaction that has stored the same event id. In a REPEATABLE READ or SERIALIZABLE
// transaction it may then fail with a serialization failure (40001): run the transaction again. Give all events of a
// transaction to one call: two calls with the same ids in another order can deadlock, as two UPDATEs can.
//
// Delivery begins within some 50 ms after the commit. A Tracker neither counts nor observes the events before their delivery.
func (q *Queue) EnqueueTx(ctx context.Context, tx pgx.Tx, events ...fprom.Event) error {
	return q.enqueue(ctx, tx.QueryRow, events)
}

// EnqueueSQLTx is EnqueueTx for a transaction of database/sql, also under sqlx, GORM, ent or bun. The driver is
// github.com/jackc/pgx/v5/stdlib or github.com/lib/pq.
func (q *Queue) EnqueueSQLTx(ctx context.Context, tx *sql.Tx, events ...fprom.Event) error {
	return q.enqueue(ctx, func(ctx context.Context, sql string, args ...any) pgx.Row {
		return tx.QueryRowContext(ctx, sql, args...)
	}, events)
}

// inDefaultSchema serves programs that have no Queue.
var inDefaultSchema = sync.OnceValue(func() *Queue {
	cfg, _ := Config{}.withDefaults()
	return &Queue{cfg: cfg}
})

// EnqueueTx is Queue.EnqueueTx in the tables of DefaultSchema. It needs no Queue.
func EnqueueTx(ctx context.Context, tx pgx.Tx, events ...fprom.Event) error {
	return inDefaultSchema().EnqueueTx(ctx, tx, events...)
}

// EnqueueSQLTx is Queue.EnqueueSQLTx in the tables of DefaultSchema. It needs no Queue.
func EnqueueSQLTx(ctx context.Context, tx *sql.Tx, events ...fprom.Event) error {
	return inDefaultSchema().EnqueueSQLTx(ctx, tx, events...)
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

// input is a message as putSQL takes it.
type input struct {
	Key      string    `json:"key"`                 // fprom.SafeKey
	ClearKey string    `json:"clear_key,omitempty"` // the message's key, if it is another
	Kind     string    `json:"kind"`
	Customer string    `json:"customer"`
	Body     string    `json:"body"`
	Amount   int64     `json:"amount"`
	Currency string    `json:"currency"`
	Digest   int64     `json:"digest"` // fprom.Message.Digest, bit for bit
	Bulk     bool      `json:"bulk"`
	Repeats  bool      `json:"repeats"`
	At       time.Time `json:"recorded_at"`
}

func inputsOf(ms []fprom.Message) []input {
	inputs := make([]input, len(ms))
	for i, m := range ms {
		in := input{
			Key: fprom.SafeKey(m.Key), Kind: m.Kind, Customer: m.Customer, Body: string(m.Body), Digest: int64(m.Digest),
			Bulk: m.Bulk, Repeats: m.Repeats(), At: m.RecordedAt,
		}
		in.Amount, in.Currency = m.Money()
		if in.Key != m.Key {
			in.ClearKey = m.Key
		}
		inputs[i] = in
	}
	return inputs
}

const (
	fields  = `key, clear_key, seq, kind, customer, body, amount, currency, digest, bulk, recorded_at`
	columns = `account_id, ` + fields
)

// putSQL stores the rows of the JSON array $1, whose keys differ. It returns a JSON object with a number for each key: 0 if the
// event was stored, null if the stored event has another amount or currency, and otherwise how many seconds younger the event is
// than the stored one. A key that another transaction changed meanwhile is missing.
const putSQL = `WITH input AS MATERIALIZED (SELECT *, nextval('$schema.fprom_seq') AS seq FROM jsonb_to_recordset($1::text::jsonb) AS r(key text, clear_key text,
		kind text, customer text, body text, amount bigint, currency text, digest bigint, bulk boolean, repeats boolean, recorded_at timestamptz)),
	-- In the order of the keys, so that two transactions with the same keys do not deadlock.
	inserted AS (INSERT INTO $schema.fprom_ledger (` + columns + `) SELECT $account, ` + fields + ` FROM input ORDER BY key
		ON CONFLICT (account_id, key) DO NOTHING RETURNING key, seq, bulk),
	-- free: a dead letter, or a cancellation that is done, is replaced.
	existing AS MATERIALIZED (SELECT i.key, i.digest, l.digest = i.digest AS same, l.state = 'dead' OR l.state = 'done' AND i.repeats AS free,
			extract(epoch FROM i.recorded_at - l.recorded_at) AS age
		FROM input i CROSS JOIN LATERAL (SELECT digest, state, recorded_at FROM $schema.fprom_ledger WHERE account_id = $account AND key = i.key LIMIT 1) l
		WHERE i.key NOT IN (SELECT key FROM inserted)),
	-- ON CONFLICT uses the primary key under every plan. PostgreSQL keeps a plan that it made for an empty ledger.
	replaced AS (INSERT INTO $schema.fprom_ledger AS l (` + columns + `) SELECT $account, ` + fields + ` FROM input WHERE key IN (SELECT key FROM existing WHERE free) ORDER BY key
		ON CONFLICT (account_id, key) DO UPDATE SET clear_key = EXCLUDED.clear_key, seq = EXCLUDED.seq, customer = EXCLUDED.customer, body = EXCLUDED.body,
			amount = EXCLUDED.amount, currency = EXCLUDED.currency, digest = EXCLUDED.digest, bulk = EXCLUDED.bulk, recorded_at = EXCLUDED.recorded_at,
			state = 'waiting', generation = l.generation + 1, attempts = 0,
			settled_at = NULL, outcome = '', reason = '', status_code = 0, promoter_event = 0, commissions = NULL
		WHERE l.state = 'dead' OR l.state = 'done' AND (SELECT repeats FROM input i WHERE i.key = l.key) RETURNING key, seq, bulk),
	stored AS (SELECT * FROM inserted UNION ALL SELECT * FROM replaced),
	conflicts AS (INSERT INTO $schema.fprom_conflict (account_id, key, digest) SELECT $account, key, digest FROM existing
		WHERE NOT free AND NOT same ORDER BY key ON CONFLICT DO NOTHING),
	jobs AS (` + jobsSQL + `now() FROM stored ORDER BY seq),
	answers AS (SELECT key, 0 AS age FROM stored UNION ALL SELECT key, CASE WHEN same THEN age END FROM existing WHERE NOT free)
	SELECT coalesce(jsonb_object_agg(key, age), '{}')::text FROM answers`

// put stores messages. If the error is a *fprom.ConflictError, all others are stored.
func (q *Queue) put(ctx context.Context, db queryRow, ms []fprom.Message) error {
	if len(ms) == 0 {
		return nil
	}
	if err := q.check(ctx, db); err != nil {
		return err
	}
	var refused []string
	inputs := inputsOf(ms)
	for try := 0; len(inputs) > 0; try++ {
		if try > len(ms)+2 {
			return errors.New("other transactions keep changing events with the same ids; try again")
		}
		now, later := firstOfEachKey(inputs)
		text, err := json.Marshal(now)
		if err != nil {
			return err
		}
		var out string
		if err := db(ctx, q.sql(putSQL), string(text)).Scan(&out); err != nil {
			return err
		}
		var ages map[string]*float64
		if err := json.Unmarshal([]byte(out), &ages); err != nil {
			return err
		}
		for _, in := range now {
			age, answered := ages[in.Key]
			switch {
			case !answered:
				later = append(later, in)
			case age == nil:
				refused = append(refused, cmp.Or(in.ClearKey, in.Key))
			default:
				renewal.Warn(q.cfg.Logger, in.Kind, in.Key, in.Bulk, time.Duration(*age*float64(time.Second)))
			}
		}
		inputs = later
	}
	if len(refused) > 0 {
		return &fprom.ConflictError{Keys: refused}
	}
	return nil
}

// firstOfEachKey returns the first input of each key, and the others.
func firstOfEachKey(inputs []input) (first, others []input) {
	seen := map[string]bool{}
	for _, in := range inputs {
		if seen[in.Key] {
			others = append(others, in)
		} else {
			first, seen[in.Key] = append(first, in), true
		}
	}
	return first, others
}
