package riverqueue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
)

// jobKind and jobQueue are how River knows the jobs of this package.
const (
	jobKind  = "fprom_event"
	jobQueue = "fprom"
)

// eventArgs is a message as a River job. The body is kept as text, so that what is sent is what was stored, to the byte.
type eventArgs struct {
	Key        string    `json:"key"`
	EventKind  string    `json:"kind"`
	Customer   string    `json:"customer"`
	RecordedAt time.Time `json:"recorded_at"`
	Body       string    `json:"body"`
}

// Kind implements river.JobArgs.
func (eventArgs) Kind() string { return jobKind }

func argsOf(m fprom.Message) eventArgs {
	return eventArgs{Key: m.Key, EventKind: m.Kind, Customer: m.Customer, RecordedAt: m.RecordedAt, Body: string(m.Body)}
}

func (a eventArgs) message() fprom.Message {
	m := fprom.Message{Key: a.Key, Kind: a.EventKind, Customer: a.Customer, RecordedAt: a.RecordedAt, Body: []byte(a.Body)}
	if e, err := m.Event(); err == nil {
		again, _ := fprom.NewMessage(e) // the digest of an event that is no longer valid is 0
		m.Digest = again.Digest
	}
	return m
}

var defaultStore = sync.OnceValues(func() (*store, error) { return newStore(nil, DefaultSchema) })

// EnqueueTx stores events in the caller's transaction, in the tables of DefaultSchema: with its commit they will be
// delivered, without it they never existed. Call it beside the statement that marks the order as paid. It needs no
// Tracker and no Queue in this process; some process must run a Tracker on the same schema. For another schema use the
// method of Queue.
//
// An event whose id is in the ledger stores nothing and is no error. If its amount or currency is another than the
// stored one's, the error wraps fprom.ErrConflict, the other events are stored, and the transaction is sound: log the
// error and commit. Any other error (*fprom.ValidationError, the database's) means that the transaction must be rolled
// back. An event id that another transaction has stored and not yet committed makes the call wait for its end.
//
// With database/sql take the *pgx.Conn out of a *sql.Conn of pgx/v5/stdlib and begin the transaction on that; see the
// example.
func EnqueueTx(ctx context.Context, tx pgx.Tx, events ...fprom.Event) error {
	s, err := defaultStore()
	if err != nil {
		return err
	}
	return s.enqueue(ctx, tx, events)
}

func (s *store) enqueue(ctx context.Context, tx pgx.Tx, events []fprom.Event) error {
	ms := make([]fprom.Message, 0, len(events))
	for _, e := range events {
		m, err := fprom.NewMessage(e)
		if err != nil {
			return err
		}
		ms = append(ms, m)
	}
	if len(ms) == 0 {
		return nil
	}
	if err := s.check(ctx, tx); err != nil {
		return err
	}
	conflict, err := s.put(ctx, tx, ms)
	if err != nil {
		return fmt.Errorf("riverqueue: enqueue: %w", explain(err))
	}
	return conflict
}

// entry is a set of messages on its way into the ledger.
type entry struct {
	ms     []fprom.Message
	twice  []fprom.Message // keys that ms has already
	stored map[string]bool // keys that were not in the ledger
}

// put stores what is new of ms and returns an error that wraps fprom.ErrConflict if one of them must be reported.
func (s *store) put(ctx context.Context, tx pgx.Tx, ms []fprom.Message) (conflict, err error) {
	var b pgx.Batch
	e := s.enter(&b, ms)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, err
	}
	return s.finish(ctx, tx, e)
}

// enter queues the statement that enters ms into the ledger.
func (s *store) enter(b *pgx.Batch, ms []fprom.Message) *entry {
	n := len(ms)
	e := &entry{ms: make([]fprom.Message, 0, n), stored: make(map[string]bool, n)}
	keys, kinds, customers := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	digests, times := make([]int64, 0, n), make([]time.Time, 0, n)
	for _, m := range ms {
		if _, twice := e.stored[m.Key]; twice {
			e.twice = append(e.twice, m)
			continue
		}
		e.stored[m.Key] = false
		e.ms = append(e.ms, m)
		keys, kinds, customers = append(keys, m.Key), append(kinds, m.Kind), append(customers, m.Customer)
		digests, times = append(digests, digestOf(m)), append(times, m.RecordedAt)
	}
	b.Queue(s.sql.insert, keys, kinds, customers, digests, times).Query(func(rows pgx.Rows) error {
		stored, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, key := range stored {
			e.stored[key] = true
		}
		return err
	})
	return e
}

// finish makes River jobs of what is new, and looks at what is not.
func (s *store) finish(ctx context.Context, tx pgx.Tx, e *entry) (conflict, err error) {
	var fresh, rest []fprom.Message
	for _, m := range e.ms {
		if e.stored[m.Key] {
			fresh = append(fresh, m)
		} else {
			rest = append(rest, m)
		}
	}
	if rest = append(rest, e.twice...); len(rest) > 0 {
		var revived []fprom.Message
		if revived, conflict, err = s.meet(ctx, tx, rest); err != nil {
			return nil, err
		}
		fresh = append(fresh, revived...)
	}
	return conflict, s.insertJobs(ctx, tx, fresh)
}

// meet compares ms with the rows that have their keys: equal ones are redeliveries, other money is a conflict, and a
// dead letter is replaced.
func (s *store) meet(ctx context.Context, tx pgx.Tx, ms []fprom.Message) (revived []fprom.Message, conflict, err error) {
	type row struct {
		Key    string
		Digest int64
		State  string
	}
	keys := make([]string, len(ms))
	for i, m := range ms {
		keys[i] = m.Key
	}
	rows, err := tx.Query(ctx, s.sql.known, keys)
	if err != nil {
		return nil, nil, err
	}
	known, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, nil, err
	}
	byKey := make(map[string]row, len(known))
	for _, r := range known {
		byKey[r.Key] = r
	}
	for _, m := range ms {
		r, ok := byKey[m.Key]
		d := digestOf(m)
		switch {
		case !ok: // pruned this moment, after 400 days
			return nil, nil, errors.New("the ledger entry of an event vanished while it was compared; try again")
		case r.State == "dead":
			if _, err := tx.Exec(ctx, s.sql.revive, m.Key, d, m.Customer, m.RecordedAt); err != nil {
				return nil, nil, err
			}
			byKey[m.Key] = row{m.Key, d, "queued"}
			revived = append(revived, m)
		case r.Digest != d:
			if _, err := tx.Exec(ctx, s.sql.refuse, m.Key, d); err != nil {
				return nil, nil, err
			}
			if conflict == nil {
				conflict = fmt.Errorf("riverqueue: %s: %w", m.Key, fprom.ErrConflict)
			}
		}
	}
	return revived, conflict, nil
}

// insertJobs makes a River job of each message.
func (s *store) insertJobs(ctx context.Context, tx pgx.Tx, ms []fprom.Message) error {
	if len(ms) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(ms))
	opts := &river.InsertOpts{Queue: jobQueue, MaxAttempts: math.MaxInt16}
	for i, m := range ms {
		params[i] = river.InsertManyParams{Args: argsOf(m), InsertOpts: opts}
	}
	_, err := s.river.InsertManyTx(ctx, tx, params)
	return err
}

// digestOf is Message.Digest as a PostgreSQL bigint, bit for bit.
func digestOf(m fprom.Message) int64 { return int64(m.Digest) }
