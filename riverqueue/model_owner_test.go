package riverqueue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// modelEvent is what is known of an event that was put.
type modelEvent struct {
	fprom.Event
	key, customer string
	amount        int64
	unsure        bool // perhaps the last change was not stored
	dropped       bool
	forgotten     bool
}

// own puts and changes the events of some customers, one call after the other.
func (m *model) own(ctx context.Context, n int, events map[string]*modelEvent) {
	r := m.rand(1 + n)
	var keys []string
	for i := 0; ctx.Err() == nil; i++ {
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		call, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		q := m.replica(r.IntN(3)).queue
		op := r.IntN(100)
		if op < 60 || len(keys) == 0 {
			for _, e := range m.putNew(call, r, fmt.Sprintf("%d-%d", n, i)) {
				if before := events[e.key]; before != nil { // a customer cancels once more
					e.unsure, e.dropped = e.unsure || before.unsure, e.unsure && before.dropped
				} else {
					keys = append(keys, e.key)
				}
				events[e.key] = e
			}
			cancel()
			continue
		}
		e := events[keys[r.IntN(len(keys))]]
		switch {
		case op < 75 && !e.dropped && !e.unsure:
			m.putAgain(call, r, q, e)
		case op < 82:
			n, err := q.Redrive(call, fprom.Filter{Customer: e.customer})
			m.note("redrive", e.customer, n, err)
		case op < 86:
			n, err := q.Drop(call, fprom.Filter{Keys: []string{e.key}})
			m.note("drop", e.key, n, err)
			e.dropped, e.unsure = e.dropped || n > 0, e.unsure || err != nil
		case op < 88:
			_, err := q.Forget(call, e.customer)
			m.note("forget", e.customer, err)
			for _, o := range events {
				o.forgotten = o.forgotten || o.customer == e.customer && err == nil
			}
		default:
			m.changeJob(call, r)
		}
		cancel()
	}
}

// putNew stores one to three events of a customer.
func (m *model) putNew(ctx context.Context, r *rand.Rand, id string) (events []*modelEvent) {
	customer := fmt.Sprintf("c%c-%d@example.com", id[0], r.IntN(3))
	var es []fprom.Event
	var ms []fprom.Message
	bulk := r.IntN(4) == 0
	for i := range 1 + r.IntN(3) {
		s := fprom.Sale{EventID: fmt.Sprintf("%s-%d", id, i), Email: customer, Amount: int64(100 + r.IntN(900)), TID: []string{"", "", "", "tid"}[r.IntN(4)]}
		e := &modelEvent{Event: s, key: "sale:" + s.EventID, customer: customer, amount: s.Amount}
		if r.IntN(12) == 0 {
			e = &modelEvent{Event: fprom.Cancellation{Email: customer}, key: "cancellation:" + customer, customer: customer}
		}
		msg := message(m.T, e.Event)
		msg.Bulk = bulk
		events, es, ms = append(events, e), append(es, e.Event), append(ms, msg)
	}
	var err error
	if replica := m.replica(r.IntN(3)); r.IntN(3) == 0 {
		rollBack := errors.New("rolled back")
		rolledBack := r.IntN(3) == 0
		end := func(err error) error {
			if err == nil && rolledBack {
				return rollBack
			}
			return err
		}
		if r.IntN(2) == 0 {
			err = pgx.BeginFunc(ctx, replica.pool, func(tx pgx.Tx) error { return end(replica.queue.EnqueueTx(ctx, tx, es...)) })
		} else {
			db := stdlib.OpenDBFromPool(replica.pool)
			err = inSQLTx(ctx, db, func(tx *sql.Tx) error { return end(replica.queue.EnqueueSQLTx(ctx, tx, es...)) })
			_ = db.Close()
		}
		if rolledBack {
			return nil
		}
	} else {
		var both sync.WaitGroup
		if other := m.replica(r.IntN(3)).queue; r.IntN(3) == 0 { // as a webhook that comes twice at once
			both.Go(func() { _ = other.Put(ctx, ms...) })
		}
		err = replica.queue.Put(ctx, ms...)
		both.Wait()
	}
	for tries := 0; err != nil && tries < 2; tries++ { // as a webhook that comes again after an error
		again, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err = m.replica(r.IntN(3)).queue.Put(again, ms...)
		cancel()
	}
	for _, e := range events {
		e.unsure = err != nil
		if _, ok := m.entry(e.key); !ok && err == nil {
			m.Errorf("%s is not in the ledger after it was accepted", e.key)
		}
	}
	return events
}

// putAgain stores an event again, perhaps with another amount. Then it is a conflict, unless the event is a dead letter.
func (m *model) putAgain(ctx context.Context, r *rand.Rand, q *riverqueue.Queue, e *modelEvent) {
	event := e.Event
	amount := e.amount
	if s, ok := event.(fprom.Sale); ok && r.IntN(2) == 0 {
		s.Amount++
		event, amount = s, s.Amount
	}
	before, _ := m.entry(e.key)
	err := q.Put(ctx, message(m.T, event))
	switch conflict := errors.Is(err, fprom.ErrConflict); {
	case conflict && amount == e.amount, err == nil && amount != e.amount && before.State == fprom.StateDone:
		m.Errorf("%s with %d in place of %d: %v", e.key, amount, e.amount, err)
	case err == nil:
		e.Event, e.amount, e.forgotten = event, amount, e.forgotten && before.State != fprom.StateDead
	case !conflict:
		e.unsure = true
	}
}

// changeJob does to a job what an operator may do in River's UI.
func (m *model) changeJob(ctx context.Context, r *rand.Rand) {
	var id int64
	if m.pool.QueryRow(ctx, `SELECT id FROM `+m.cfg.Schema+`.river_job ORDER BY random() LIMIT 1`).Scan(&id) != nil {
		return
	}
	change := []func(context.Context, int64) (any, error){
		func(ctx context.Context, id int64) (any, error) { return m.operator.JobRetry(ctx, id) },
		func(ctx context.Context, id int64) (any, error) { return m.operator.JobCancel(ctx, id) },
		func(ctx context.Context, id int64) (any, error) { return m.operator.JobDelete(ctx, id) },
	}[r.IntN(3)]
	_, _ = change(ctx, id) // a job that runs cannot be deleted
}

func (m *model) entry(key string) (entry fprom.Entry, ok bool) {
	for e, err := range m.queue.Entries(context.Background(), fprom.Filter{Keys: []string{key}}) {
		if err != nil {
			m.Error(err)
		}
		return e, err == nil
	}
	return fprom.Entry{}, false
}
