package riverqueue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/renewal"
)

// Put implements fprom.Queue. After an error, such as the end of a connection or a deadlock with a transaction that calls EnqueueTx
// twice, it tries again for some 600 ms, or until ctx ends. The keys make that safe. If a right is missing, or a sequence is behind its table, it gives up at once.
func (q *Queue) Put(ctx context.Context, ms ...fprom.Message) error {
	if err := q.errClosed(); err != nil {
		return err
	}
	for delay := 20 * time.Millisecond; ; delay *= 2 {
		err := explain("put", q.put(ctx, q.row, ms))
		if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, fprom.ErrConflict) || errors.Is(err, ErrSchema) || slices.Contains([]string{"42501", "23505"}, sqlState(err)) {
			return err
		}
		q.renew(err)
		if delay > 320*time.Millisecond || wait(ctx, q, time.After(delay)) != nil {
			return err
		}
	}
}

// EnqueueTx stores events in the caller's transaction. If the transaction commits, the events will be delivered. If it rolls
// back, they never existed. Some process must run a Tracker on the same schema. With database/sql use EnqueueSQLTx.
//
// No middleware fills in who brought the customer, as it does for fprom.Record. Call fprom.AttributionFrom(r).Apply(&sale)
// first, or store the Attribution with the order.
//
// If the id of an event is in the ledger, the event is not stored again, and that is no error. If its amount or currency
// differs from the stored one, the error is a *fprom.ConflictError, which wraps fprom.ErrConflict, and the other events are
// stored: log the error, since nobody else does, and commit. Stats then counts it. After another error, such as a *fprom.ValidationError, roll back.
//
// The call waits for the end of another transaction that has stored the same event id. In a REPEATABLE READ or SERIALIZABLE
// transaction it may then fail with a serialization failure (40001): run the transaction again. Give all events of a
// transaction to one call: two calls with the same ids in another order can deadlock, as two UPDATEs can.
//
// The commit waits for the disk, even if synchronous_commit is off. Delivery begins within some 50 ms after it. A Tracker
// neither counts nor observes the events before their delivery.
func (q *Queue) EnqueueTx(ctx context.Context, tx pgx.Tx, events ...fprom.Event) error {
	return q.enqueue(ctx, tx.QueryRow, events)
}

// EnqueueSQLTx is EnqueueTx for a transaction of database/sql, also under sqlx, GORM, ent or bun: docs/replicas.md says how to get
// that transaction from them. The driver is github.com/jackc/pgx/v5/stdlib or github.com/lib/pq.
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

func (q *Queue) enqueue(ctx context.Context, tx queryRow, events []fprom.Event) (err error) {
	ms := make([]fprom.Message, len(events))
	for i, e := range events {
		if ms[i], err = fprom.NewMessage(e); err != nil {
			return err
		}
	}
	return explain("enqueue", q.put(ctx, tx, ms))
}

// input is a message as fprom_put takes it.
type input struct {
	Key      string    `json:"key"`       // fprom.SafeKey
	ClearKey string    `json:"clear_key"` // fprom.Message.Key
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

const putSQL = `SELECT coalesce(json_agg(p ORDER BY place), '[]')::text FROM $schema.fprom_put($1::text::jsonb) p`

// put stores messages. If the error is a *fprom.ConflictError, all others are stored.
func (q *Queue) put(ctx context.Context, db queryRow, ms []fprom.Message) error {
	if len(ms) == 0 {
		return nil
	}
	if err := q.check(ctx, db); err != nil {
		return err
	}
	var inputs []input
	for _, m := range ms {
		amount, currency := m.Money()
		inputs = append(inputs, input{
			Key: fprom.SafeKey(m.Key), ClearKey: m.Key, Kind: m.Kind, Customer: m.Customer, Body: string(m.Body), Amount: amount, Currency: currency,
			Digest: int64(m.Digest), Bulk: m.Bulk, Repeats: m.Repeats(), At: m.RecordedAt,
		})
	}
	text, err := json.Marshal(inputs)
	if err != nil {
		return err
	}
	var out string
	if err := db(ctx, q.sql(putSQL), string(text)).Scan(&out); err != nil {
		return err
	}
	var known []struct {
		Place int
		Age   *float64
	}
	if err := json.Unmarshal([]byte(out), &known); err != nil {
		return err
	}
	var refused []string
	for _, k := range known {
		m := ms[k.Place]
		if k.Age == nil {
			refused = append(refused, m.Key)
		} else {
			renewal.Warn(q.cfg.Logger, m.Kind, fprom.SafeKey(m.Key), m.Bulk, time.Duration(*k.Age*float64(time.Second)))
		}
	}
	if len(refused) > 0 {
		return &fprom.ConflictError{Keys: refused}
	}
	return nil
}
