package queuetest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

// model is a durable queue that is as simple as can be: its store is memory that outlives it. bug names a rule to break.
type model struct {
	store *modelStore
	bug   string

	mu      sync.Mutex
	closed  bool
	running bool
	watch   func() fprom.Stats
	waits   sync.Mutex // of the bug "watch deadlock"
}

type modelStore struct {
	mu          sync.Mutex
	rows        []*row // in the order they were put
	seq         int
	conflicts   map[string]bool
	triedNext   bool // whose turn it is
	delivering  int
	lastSuccess time.Time
	admitted    []time.Time
	pausedUntil time.Time
	pauseReason string
}

type row struct {
	fprom.Message
	entry     fprom.Entry // with the customer in clear
	seq       int
	due       time.Time
	busy      bool
	tried     bool
	aside     bool
	forgotten bool
}

func (s *row) waits() bool { return s.entry.State == fprom.StateWaiting }

// enter locks the store of an open queue.
func (q *model) enter() error {
	q.mu.Lock()
	closed := q.closed
	q.mu.Unlock()
	if closed && q.bug != "answers after close" {
		return fprom.ErrQueueClosed
	}
	q.store.mu.Lock()
	return nil
}

func (q *model) Put(ctx context.Context, ms ...fprom.Message) error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.store.mu.Unlock()
	if ctx.Err() != nil && q.bug != "stores some" {
		return ctx.Err()
	}
	conflict := &fprom.ConflictError{}
	for _, m := range ms {
		s := q.find(m)
		switch {
		case s == nil || q.bug == "stores twice":
			q.add(m)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		case s.entry.State == fprom.StateDead && q.bug != "keeps dead keys":
			if q.bug != "keeps dead letters" {
				q.remove(s)
			}
			q.add(m)
		case s.Digest != m.Digest:
			if id := fmt.Sprint(m.Key, m.Digest); !q.store.conflicts[id] || q.bug != "conflict once" {
				q.store.conflicts[id] = true
				conflict.Keys = append(conflict.Keys, m.Key)
			}
			if q.bug == "conflict replaces" {
				s.Body = m.Body
			}
			if q.bug == "conflict stops the rest" {
				return conflict
			}
		}
	}
	switch {
	case len(conflict.Keys) == 0 || q.bug == "blind to conflicts":
		return nil
	case q.bug == "nameless conflicts":
		return fprom.ErrConflict
	}
	return conflict
}

// find is the row that keeps m from being stored, or a dead letter; nil if there is neither.
func (q *model) find(m fprom.Message) *row {
	for _, s := range slices.Backward(q.store.rows) {
		switch {
		case s.Key != m.Key,
			s.entry.State == fprom.StateDone && q.bug == "forgets done",
			s.entry.State == fprom.StateDone && m.Repeats() && q.bug != "one cancellation":
			continue
		}
		return s
	}
	return nil
}

func (q *model) add(m fprom.Message) {
	if q.bug != "counts from Put's" {
		m.Attempt = 0
	}
	if q.bug == "all live" {
		m.Bulk = false
	}
	q.store.seq++
	q.store.rows = append(q.store.rows, &row{Message: m, entry: fprom.NewEntry(m), seq: q.store.seq})
}

func (q *model) remove(s *row) {
	q.store.rows = slices.DeleteFunc(q.store.rows, func(x *row) bool { return x == s })
}

func (q *model) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	if err := q.begin(); err != nil {
		return err
	}
	defer q.end()
	if q.bug == "one worker more" {
		workers++
	}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil || q.bug == "goes on" {
				s, m := q.take(ctx)
				if s == nil {
					select {
					case <-ctx.Done():
						return
					case <-time.After(2 * time.Millisecond):
					}
					continue
				}
				res, err := q.call(ctx, m, deliver)
				q.settle(ctx, s, m.Attempt, res, err)
			}
		})
	}
	if q.bug == "does not wait" {
		<-ctx.Done()
		return nil
	}
	wg.Wait()
	if q.bug == "run error" {
		return ctx.Err()
	}
	return nil
}

func (q *model) begin() error {
	if err := q.enter(); err != nil {
		return err
	}
	q.store.delivering++
	q.store.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running && q.bug != "two runs" {
		q.store.mu.Lock()
		defer q.store.mu.Unlock()
		q.store.delivering--
		return fprom.ErrQueueInUse
	}
	q.running = true
	return nil
}

func (q *model) end() {
	q.mu.Lock()
	q.running = q.bug == "one run"
	q.mu.Unlock()
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	q.store.delivering--
}

func (q *model) call(ctx context.Context, m fprom.Message, deliver func(context.Context, fprom.Message) (fprom.Result, error)) (res fprom.Result, err error) {
	defer func() {
		if q.bug == "panics" {
			return
		}
		if p := recover(); p != nil {
			res, err = fprom.Result{Outcome: fprom.Undelivered}, fmt.Errorf("panic: %v", p)
		}
	}()
	return deliver(ctx, m)
}

// take is the next message to deliver. Rows that were tried and rows that were not take turns.
func (q *model) take(ctx context.Context) (*row, fprom.Message) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	ready := q.ready()
	if len(ready) == 0 || ctx.Err() != nil && q.bug != "goes on" { // it may have ended while another worker held mu
		return nil, fprom.Message{}
	}
	s := slices.MinFunc(ready, func(a, b *row) int {
		turn := 0
		if a.tried != b.tried && a.Bulk == b.Bulk {
			turn = cmp.Compare(btoi(b.tried == q.store.triedNext), btoi(a.tried == q.store.triedNext))
		}
		switch q.bug {
		case "newest first":
			return cmp.Compare(b.seq, a.seq)
		case "no turns":
			turn = 0
		case "fresh first":
			turn = cmp.Compare(btoi(a.tried), btoi(b.tried))
		case "tried first":
			turn = cmp.Compare(btoi(b.tried), btoi(a.tried))
		}
		return cmp.Or(cmp.Compare(btoi(a.Bulk), btoi(b.Bulk)), turn, cmp.Compare(a.seq, b.seq))
	})
	q.store.triedNext = !s.tried
	s.busy = true
	s.Attempt++
	m := s.Message
	if q.bug == "counts from 0" {
		m.Attempt--
	}
	if q.bug == "loses the customer" {
		m.Customer = ""
	}
	return s, m
}

// ready is what may be delivered now.
func (q *model) ready() []*row {
	busy, blocked := map[string]bool{}, map[string]bool{}
	for _, s := range q.store.rows {
		busy[s.Customer] = busy[s.Customer] || s.busy && q.bug != "no order"
	}
	var ready []*row
	for _, s := range q.store.rows {
		if !s.waits() {
			continue
		}
		if due := !s.due.After(time.Now()); !s.busy && due && !busy[s.Customer] && !blocked[s.Customer] {
			ready = append(ready, s)
		} else if q.bug == "one for all" {
			return ready
		}
		passes := s.aside && q.bug != "never aside" || q.bug == "no order" || s.Bulk && q.bug == "bulk is passed"
		blocked[s.Customer] = blocked[s.Customer] || !passes
	}
	return ready
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (q *model) settle(ctx context.Context, s *row, attempt int, res fprom.Result, err error) {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	s.busy, s.tried = false, true
	switch {
	case ctx.Err() != nil && q.bug == "drops late outcomes":
		s.Attempt--
		return
	case err == nil && q.bug == "never done":
	case err == nil:
		q.store.lastSuccess = time.Now()
		q.finish(s, res, nil)
		return
	case fprom.IsPermanent(err) && q.bug != "retries permanent":
		q.finish(s, res, err)
		return
	}
	if ctx.Err() != nil && q.bug != "counts interrupted" || fprom.IsHeld(err) && q.bug != "counts held" {
		s.Attempt--
	}
	s.aside = fprom.IsSetAside(err)
	if q.bug != "no delay" {
		s.due = time.Now().Add(fprom.RetryDelay(attempt, err))
	}
	s.entry.Attempts, s.entry.NextAttempt, s.entry.StatusCode = s.Attempt, s.due, res.StatusCode
	if err != nil {
		s.entry.Reason = err.Error()
	}
}

func (q *model) pending() []*row {
	return slices.DeleteFunc(slices.Clone(q.store.rows), func(s *row) bool { return !s.waits() })
}

func (q *model) Flush(ctx context.Context) error {
	if err := q.enter(); err != nil {
		return err
	}
	before := q.pending()
	q.store.mu.Unlock()
	for {
		if err := q.enter(); err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(before), func(s *row) bool { return !s.waits() })
		if q.bug == "flush waits for all" {
			left = q.pending()
		}
		later := q.notDue(ctx, left)
		q.store.mu.Unlock()
		switch {
		case len(left) == 0, q.bug == "flush waits for none":
			return nil
		case later && q.bug != "flush waits in vain":
			return fprom.ErrNotDue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// notDue reports whether none of rows is under way or due before ctx ends. What stands behind an event of its customer
// that is not due is not due either.
func (q *model) notDue(ctx context.Context, rows []*row) bool {
	end, ok := ctx.Deadline()
	if !ok {
		return q.bug == "flush never waits"
	}
	blocked := map[string]bool{}
	for _, s := range rows {
		if later := s.due.After(end) || blocked[s.Customer] && q.bug != "flush waits for those behind"; s.busy || !later {
			return false
		}
		blocked[s.Customer] = !s.aside
	}
	return true
}

func (q *model) Stats(context.Context) (fprom.QueueStats, error) {
	if q.bug == "watch deadlock" && q.watch != nil {
		q.waits.Lock()
		defer q.waits.Unlock()
		return q.watch().Queue, nil
	}
	if err := q.enter(); err != nil {
		return fprom.QueueStats{}, err
	}
	defer q.store.mu.Unlock()
	st := fprom.QueueStats{
		Conflicts: len(q.store.conflicts), Delivering: q.store.delivering > 0 && q.bug != "never delivers",
		LastSuccess: q.store.lastSuccess, PausedUntil: q.store.pausedUntil, PauseReason: q.store.pauseReason,
	}
	for _, s := range q.store.rows {
		switch {
		case s.entry.State == fprom.StateDead:
			st.Dead++
		case s.entry.State == fprom.StateDone:
			st.Ledger++
		case q.bug == "stats of nothing" || s.busy && q.bug == "stats without those under way":
		default:
			if s.Bulk {
				st.Bulk++
			} else {
				st.Pending++
			}
			if st.Oldest.IsZero() || s.RecordedAt.Before(st.Oldest) {
				st.Oldest = s.RecordedAt
			}
		}
	}
	return st, nil
}

func (q *model) Undelivered() []fprom.Message {
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	var ms []fprom.Message
	for _, s := range q.pending() {
		ms = append(ms, s.Message)
	}
	if q.bug == "lists newest first" {
		slices.Reverse(ms)
	}
	return ms
}

func (q *model) Watch(stats func() fprom.Stats) { q.watch = stats }

func (q *model) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed && q.bug == "close twice" {
		return errors.New("closed twice")
	}
	q.closed = true
	q.store.mu.Lock()
	defer q.store.mu.Unlock()
	if q.bug == "loses all" {
		q.store.rows = nil
	}
	for _, s := range q.store.rows {
		switch q.bug {
		case "loses order":
			s.seq = min(s.seq, -s.seq)
		case "loses attempts":
			s.Attempt = 0
		case "loses due":
			s.due = time.Time{}
		case "loses bulk":
			s.Bulk = false
		case "loses aside":
			s.aside = false
		}
	}
	return nil
}
