// Package memoutbox is an fprom.Outbox in memory, for tests of what stands on outboxes: plain, and slow where it does not
// matter. Like the durable ones it forgets the customer of what is done.
package memoutbox

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

// Outbox implements fprom.Outbox. Make one with New.
type Outbox struct {
	mu      sync.Mutex
	rows    []*row
	byKey   map[string]*row // by SafeKey
	changed chan struct{}
	closed  bool
	PutErr  error // what Put returns, if set
}

type row struct {
	msg   fprom.Message
	entry fprom.Entry
	due   time.Time
}

var _ fprom.Outbox = (*Outbox)(nil)

// New returns an empty Outbox.
func New() *Outbox { return &Outbox{byKey: map[string]*row{}, changed: make(chan struct{})} }

func (q *Outbox) notify() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Put implements fprom.Queue.
func (q *Outbox) Put(ctx context.Context, ms ...fprom.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.PutErr != nil:
		return q.PutErr
	case q.closed:
		return errors.New("closed")
	case ctx.Err() != nil:
		return ctx.Err()
	}
	var conflict fprom.ConflictError
	for _, m := range ms {
		old := q.byKey[fprom.SafeKey(m.Key)]
		free := old == nil || old.entry.State == fprom.StateDead || m.Repeats() && old.entry.State == fprom.StateDone
		if !free {
			if old.msg.Digest != m.Digest {
				conflict.Keys = append(conflict.Keys, m.Key)
			}
			continue
		}
		r := &row{msg: m, entry: fprom.NewEntry(m)}
		q.byKey[r.entry.Key] = r
		q.rows = append(q.rows, r)
	}
	q.notify()
	if len(conflict.Keys) > 0 {
		return &conflict
	}
	return nil
}

// Add puts an entry as it is, for states that are hard to reach.
func (q *Outbox) Add(e fprom.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := &row{entry: e}
	q.byKey[e.Key] = r
	q.rows = append(q.rows, r)
}

// Run implements fprom.Queue, with one delivery at a time.
func (q *Outbox) Run(ctx context.Context, _ int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	for ctx.Err() == nil {
		q.mu.Lock()
		r, changed := q.next(), q.changed
		q.mu.Unlock()
		if r == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			case <-time.After(time.Second):
			}
			continue
		}
		m := r.msg
		m.Attempt = r.entry.Attempts + 1
		res, err := deliver(ctx, m)
		q.mu.Lock()
		q.conclude(r, m.Attempt, res, err)
		q.notify()
		q.mu.Unlock()
	}
	return nil
}

// next is the oldest that is due, live ones first.
func (q *Outbox) next() (bulk *row) {
	now := time.Now()
	for _, r := range q.rows {
		if r.entry.State != fprom.StateWaiting || r.due.After(now) {
			continue
		}
		if !r.msg.Bulk {
			return r
		}
		if bulk == nil {
			bulk = r
		}
	}
	return bulk
}

func (q *Outbox) conclude(r *row, attempt int, res fprom.Result, err error) {
	if err == nil || fprom.IsPermanent(err) {
		r.entry.Attempts = attempt
		r.entry.Settle(res, err, time.Now())
		if err == nil {
			r.entry.Customer, r.msg.Body = "", nil
		}
		return
	}
	if !fprom.IsHeld(err) {
		r.entry.Attempts = attempt
	}
	r.entry.Reason = err.Error()
	r.due = time.Now().Add(fprom.RetryDelay(attempt, err))
}

// Flush implements fprom.Queue.
func (q *Outbox) Flush(ctx context.Context) error {
	for {
		q.mu.Lock()
		waiting, changed := 0, q.changed
		for _, r := range q.rows {
			if r.entry.State == fprom.StateWaiting {
				waiting++
			}
		}
		q.mu.Unlock()
		if waiting == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Stats implements fprom.Queue.
func (q *Outbox) Stats(context.Context) (s fprom.QueueStats, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		switch {
		case r.entry.State == fprom.StateDead:
			s.Dead++
		case r.entry.State == fprom.StateDone:
			s.Ledger++
		case r.msg.Bulk:
			s.Bulk++
		default:
			s.Pending++
		}
	}
	return s, nil
}

// Close implements fprom.Queue.
func (q *Outbox) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	return nil
}

// Entries implements fprom.Outbox.
func (q *Outbox) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		for _, e := range q.selected(f) {
			if err := ctx.Err(); err != nil {
				yield(fprom.Entry{}, err)
				return
			}
			if !yield(f.Show(e), nil) {
				return
			}
		}
	}
}

func (q *Outbox) selected(f fprom.Filter) (es []fprom.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	after, _ := strconv.Atoi(f.After)
	if len(f.Keys) > 0 { // by the thousand: not by looking at every row
		for _, k := range f.Keys {
			for _, name := range []string{k, fprom.KindSale + ":" + k, fprom.KindRefund + ":" + k, fprom.KindSignup + ":" + k, fprom.KindCancellation + ":" + k} {
				if r := q.byKey[fprom.SafeKey(name)]; r != nil && f.Match(r.entry) {
					es = append(es, r.entry)
				}
			}
		}
		return es
	}
	for i, r := range q.rows {
		if i+1 > after && f.Match(r.entry) {
			e := r.entry
			e.Cursor = strconv.Itoa(i + 1)
			if es = append(es, e); len(es) == f.Limit {
				break
			}
		}
	}
	return es
}

func (q *Outbox) dead(f fprom.Filter, each func(*row)) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f.State = fprom.StateDead
	for _, r := range q.rows {
		if f.Match(r.entry) {
			each(r)
			n++
		}
	}
	q.notify()
	return n
}

// Redrive implements fprom.Outbox.
func (q *Outbox) Redrive(_ context.Context, f fprom.Filter) (int, error) {
	return q.dead(f, func(r *row) { r.entry.State, r.entry.Outcome = fprom.StateWaiting, fprom.Undelivered }), nil
}

// Drop implements fprom.Outbox.
func (q *Outbox) Drop(_ context.Context, f fprom.Filter) (int, error) {
	return q.dead(f, func(r *row) { r.entry = fprom.Entry{}; delete(q.byKey, fprom.SafeKey(r.msg.Key)) }), nil
}

// History implements fprom.Outbox.
func (q *Outbox) History(_ context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	buckets, err := fprom.NewBuckets(from, to, step)
	if err != nil || len(buckets) == 0 {
		return nil, err
	}
	from = buckets[0].Start
	for _, e := range q.selected(fprom.Filter{}) {
		if !e.SettledAt.Before(from) && e.SettledAt.Before(to) {
			buckets[e.SettledAt.Sub(from)/step].Add(e.State, e.Outcome)
		}
	}
	return buckets, nil
}

// Forget implements fprom.Outbox.
func (q *Outbox) Forget(_ context.Context, customer string) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		if (fprom.Filter{Customer: customer}).Match(r.entry) && r.entry.State != fprom.StateWaiting {
			r.entry.Customer, r.msg.Body = "", nil
			n++
		}
	}
	return n, nil
}
