package riverqueue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fprom-go/fprom"
)

// Put stores messages and the River jobs that wake them in one transaction.
func (q *Queue) Put(ctx context.Context, ms ...fprom.Message) error {
	if err := q.open(); err != nil {
		return err
	}
	if len(ms) == 0 {
		return nil
	}
	if err := q.store.check(ctx, pgxSession{tx: q.pool}); err != nil {
		return err
	}
	for try := 1; ; try++ {
		var conflict error
		err := pgx.BeginTxFunc(ctx, q.pool, readCommitted, func(tx pgx.Tx) (err error) {
			conflict, err = q.store.put(ctx, pgxSession{tx, q.store.pgx}, ms)
			return err
		})
		if try < 3 && sqlState(err) == "40P01" { // a deadlock with transactions that called EnqueueTx more than once
			continue
		}
		if err != nil {
			return fmt.Errorf("fprom: riverqueue: put: %w", explain(err))
		}
		return conflict
	}
}

var defaultStore = sync.OnceValues(func() (*store, error) { return newStore(nil, DefaultSchema) })

// EnqueueTx stores events in the caller's transaction, in the tables of DefaultSchema: with its commit they will be
// delivered, without it they never existed. Call it beside the statement that marks the order as paid. It needs no
// Tracker and no Queue in this process; some process must run a Tracker on the same schema. For another schema use the
// method of Queue. With database/sql use EnqueueSQLTx.
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
// A Tracker neither counts nor observes these events before their delivery.
func EnqueueTx(ctx context.Context, tx pgx.Tx, events ...fprom.Event) error {
	s, err := defaultStore()
	if err != nil {
		return err
	}
	return s.enqueue(ctx, pgxSession{tx, s.pgx}, events)
}

// EnqueueSQLTx is EnqueueTx for a transaction of database/sql, and of what builds on it (sqlx, GORM, ent, bun), with
// PostgreSQL's driver github.com/jackc/pgx/v5/stdlib or github.com/lib/pq.
func EnqueueSQLTx(ctx context.Context, tx *sql.Tx, events ...fprom.Event) error {
	s, err := defaultStore()
	if err != nil {
		return err
	}
	return s.enqueue(ctx, sqlSession{tx, s.std}, events)
}

// EnqueueTx stores events in the caller's transaction, in the schema of q. See the package function of this name.
func (q *Queue) EnqueueTx(ctx context.Context, tx pgx.Tx, events ...fprom.Event) error {
	return q.store.enqueue(ctx, pgxSession{tx, q.store.pgx}, events)
}

// EnqueueSQLTx stores events in the caller's transaction, in the schema of q. See the package function of this name.
func (q *Queue) EnqueueSQLTx(ctx context.Context, tx *sql.Tx, events ...fprom.Event) error {
	return q.store.enqueue(ctx, sqlSession{tx, q.store.std}, events)
}

func (s *store) enqueue(ctx context.Context, tx session, events []fprom.Event) error {
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
		return fmt.Errorf("fprom: riverqueue: enqueue: %w", explain(err))
	}
	return conflict
}

// put stores what is new of ms. conflict is a *fprom.ConflictError if one of them asks for other money than what is stored.
func (s *store) put(ctx context.Context, tx session, ms []fprom.Message) (conflict, err error) {
	var p putting
	rest := make([]record, len(ms))
	for i := range ms {
		rest[i] = recordOf(i, &ms[i])
	}
	for tries := 0; len(rest) > 0; tries++ {
		if tries == 3 {
			return nil, errors.New("events with the same ids come and go in other transactions; try again")
		}
		stored, err := s.write(ctx, tx, insertSQL, rest)
		if err != nil {
			return nil, err
		}
		var met []record
		for _, r := range rest {
			if stored[r.Key] {
				stored[r.Key] = false // a second one with this key meets it
				p.fresh = append(p.fresh, r)
			} else {
				met = append(met, r)
			}
		}
		if rest, err = s.meet(ctx, tx, met, &p); err != nil {
			return nil, err
		}
	}
	if len(p.refused) > 0 {
		conflict = &fprom.ConflictError{Keys: p.refused}
	}
	return conflict, s.wakeAll(ctx, tx, p.fresh)
}

// putting is what became of the messages of one put.
type putting struct {
	fresh   []record // stored
	refused []string // Message.Key of those that ask for other money
}

// meet compares rs with the rows that have their keys: an equal one is a redelivery, other money is a conflict, and a dead
// letter or a cancellation that is done is replaced. It returns those whose rows another transaction changed meanwhile.
func (s *store) meet(ctx context.Context, tx session, rs []record, p *putting) (again []record, err error) {
	if len(rs) == 0 {
		return nil, nil
	}
	keys := make([]string, len(rs))
	for i, r := range rs {
		keys[i] = r.Key
	}
	in, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	type row struct {
		Key    string
		Digest int64
		State  fprom.State
	}
	var known []row
	if err := s.read(ctx, tx, knownSQL, in, &known); err != nil {
		return nil, err
	}
	rows := make(map[string]row, len(known))
	for _, k := range known {
		rows[k.Key] = k
	}
	var revive, refuse []record
	for _, r := range rs {
		k, ok := rows[r.Key]
		switch {
		case !ok: // dropped or pruned this moment
			again = append(again, r)
		case k.State == fprom.StateDead, k.State == fprom.StateDone && r.message.Repeats():
			rows[r.Key] = row{r.Key, r.Digest, fprom.StateWaiting}
			revive = append(revive, r)
		case k.Digest != r.Digest:
			refuse, p.refused = append(refuse, r), append(p.refused, r.message.Key)
		}
	}
	if len(refuse) > 0 {
		if _, err := s.write(ctx, tx, refuseSQL, refuse); err != nil {
			return nil, err
		}
	}
	if len(revive) == 0 {
		return again, nil
	}
	won, err := s.write(ctx, tx, reviveSQL, revive)
	for _, r := range revive {
		if won[r.Key] {
			p.fresh = append(p.fresh, r)
		} else {
			again = append(again, r)
		}
	}
	return again, err
}

// wakeAll makes a River job of each record.
func (s *store) wakeAll(ctx context.Context, tx session, rs []record) error {
	if len(rs) == 0 {
		return nil
	}
	slices.SortFunc(rs, func(a, b record) int { return a.N - b.N })
	jobs := make([]river.InsertManyParams, len(rs))
	for i, r := range rs {
		jobs[i] = river.InsertManyParams{Args: wakeUp{r.Key}, InsertOpts: jobOptions(r.Bulk)}
	}
	return tx.insertJobs(ctx, jobs)
}
