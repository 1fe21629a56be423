package fprom

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// DefaultQueueSize is the number of events that the default queue holds: over half an hour at 400 a minute.
const DefaultQueueSize = 16384

// memoryQueue keeps messages in slots that are linked by their index: in the order they were put (before, after), in
// the lane of their customer, and in the list of those that may be delivered now. Its memory grows to the largest
// backlog seen and no further.
type memoryQueue struct {
	size    int
	running bool
	closed  bool
	wake    chan struct{} // a hint that next may find work

	mu          sync.Mutex
	chunks      []*[chunkSize]slot // never moved, so that no Put pays for growth
	used        int32              // slots ever taken
	free        []int32
	keys        map[string]int32
	lanes       map[string]int32 // customer → last slot of the lane
	first, last int32            // all, in the order they were put
	newer       list             // may be delivered now, and never were before
	older       list             // may be delivered again, or waited for another of their customer
	turn        bool             // whose turn it is: neither keeps the other waiting
	later       dueHeap
	seq         uint64
	dead        int
	moved       chan struct{} // closed when a message left; nil if nobody waits
}

type slot struct {
	msg           Message
	seq           uint64
	due           time.Time
	before, after int32
	laneNext      int32
	readyNext     int32
}

const (
	none      = int32(-1)
	chunkSize = 256
)

func (q *memoryQueue) at(i int32) *slot { return &q.chunks[i/chunkSize][i%chunkSize] }

// NewMemoryQueue returns a queue of at most size events (DefaultQueueSize if size ≤ 0) that lives and dies with the
// process. Put never blocks: it answers ErrQueueFull. What is left at the end is in Shutdown's *UndeliveredError.
// Dead letters are logged and observed (StageDead), but only counted, not kept.
// An event takes about 400 bytes beside its own.
func NewMemoryQueue(size int) Queue {
	if size <= 0 {
		size = DefaultQueueSize
	}
	q := &memoryQueue{
		size: size, wake: make(chan struct{}, 1),
		keys: map[string]int32{}, lanes: map[string]int32{}, first: none, last: none, newer: list{none, none}, older: list{none, none},
	}
	q.later.q = q
	return q
}

func (q *memoryQueue) Put(_ context.Context, ms ...Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrQueueClosed
	}
	if len(q.keys)+len(ms) > q.size && len(q.keys)+q.fresh(ms) > q.size {
		return ErrQueueFull
	}
	var conflict *ConflictError
	for _, m := range ms {
		if i, ok := q.keys[m.Key]; !ok {
			q.add(m)
		} else if q.conflicts(q.at(i), m) {
			if conflict == nil {
				conflict = &ConflictError{}
			}
			conflict.Keys = append(conflict.Keys, m.Key)
		}
	}
	q.signal()
	if conflict != nil {
		return conflict
	}
	return nil
}

// fresh is the number of keys in ms that are not stored.
func (q *memoryQueue) fresh(ms []Message) int {
	keys := make(map[string]bool, len(ms))
	for _, m := range ms {
		if _, ok := q.keys[m.Key]; !ok {
			keys[m.Key] = true
		}
	}
	return len(keys)
}

// conflicts reports whether m differs from what is stored in s.
func (q *memoryQueue) conflicts(s *slot, m Message) bool { return m.Digest != s.msg.Digest }

func (q *memoryQueue) add(m Message) {
	var i int32
	if n := len(q.free); n > 0 {
		i, q.free = q.free[n-1], q.free[:n-1]
	} else {
		i = q.used
		q.used++
		if i%chunkSize == 0 {
			q.chunks = append(q.chunks, new([chunkSize]slot))
		}
	}
	m.Attempt = 0
	q.seq++
	*q.at(i) = slot{msg: m, seq: q.seq, before: q.last, after: none, laneNext: none, readyNext: none}
	if q.last == none {
		q.first = i
	} else {
		q.at(q.last).after = i
	}
	q.last = i
	q.keys[m.Key] = i
	tail, waits := q.lanes[m.Customer]
	if m.Customer != "" {
		q.lanes[m.Customer] = i
	}
	if waits && m.Customer != "" {
		q.at(tail).laneNext = i
		return
	}
	q.push(&q.newer, i)
}

// Run starts the workers and waits for them.
func (q *memoryQueue) Run(ctx context.Context, workers int, deliver func(context.Context, Message) (Result, error)) error {
	q.mu.Lock()
	if q.closed || q.running {
		defer q.mu.Unlock()
		if q.closed {
			return ErrQueueClosed
		}
		return ErrQueueInUse
	}
	q.running = true
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.running = false
		q.mu.Unlock()
	}()
	var wg sync.WaitGroup
	for range max(workers, 1) {
		wg.Go(func() {
			timer := time.NewTimer(time.Hour)
			defer timer.Stop()
			for {
				i, m, ok := q.next(ctx, timer)
				if !ok {
					return
				}
				_, err := deliver(ctx, m)
				q.settle(ctx, i, m.Attempt, err)
			}
		})
	}
	wg.Wait()
	return nil
}

// next waits for a message that may be delivered now and takes it. timer is the worker's own.
func (q *memoryQueue) next(ctx context.Context, timer *time.Timer) (int32, Message, bool) {
	for ctx.Err() == nil {
		q.mu.Lock()
		now := time.Now()
		for len(q.later.due) > 0 && !q.at(q.later.due[0]).due.After(now) {
			q.push(&q.older, heap.Pop(&q.later).(int32))
		}
		if i := q.pop(); i != none {
			q.at(i).msg.Attempt++
			m := q.at(i).msg
			q.signal() // there may be more: wake another
			q.mu.Unlock()
			return i, m, true
		}
		wait := time.Hour
		if len(q.later.due) > 0 {
			wait = q.at(q.later.due[0]).due.Sub(now)
		}
		q.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
	}
	return none, Message{}, false
}

// settle records what deliver said of the message in slot i.
func (q *memoryQueue) settle(ctx context.Context, i int32, attempt int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	permanent := err != nil && IsPermanent(err)
	if err == nil || permanent {
		if permanent {
			q.dead++
		}
		q.remove(i)
		return
	}
	if IsHeld(err) || ctx.Err() != nil {
		q.at(i).msg.Attempt--
	}
	q.at(i).due = time.Now().Add(RetryDelay(attempt, err))
	heap.Push(&q.later, i)
	q.signal() // whoever sleeps must look at its timer again
}

func (q *memoryQueue) remove(i int32) {
	s := q.at(i)
	if s.before == none {
		q.first = s.after
	} else {
		q.at(s.before).after = s.after
	}
	if s.after == none {
		q.last = s.before
	} else {
		q.at(s.after).before = s.before
	}
	if s.laneNext != none {
		q.push(&q.older, s.laneNext)
		q.signal()
	} else if s.msg.Customer != "" {
		delete(q.lanes, s.msg.Customer)
	}
	delete(q.keys, s.msg.Key)
	*s = slot{}
	q.free = append(q.free, i)
	if q.moved != nil {
		close(q.moved)
		q.moved = nil
	}
}

func (q *memoryQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Stats implements Queue.
func (q *memoryQueue) Stats(context.Context) (QueueStats, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return QueueStats{}, ErrQueueClosed
	}
	s := QueueStats{Pending: len(q.keys), Dead: q.dead, Delivering: q.running}
	if q.first != none {
		s.Oldest = q.at(q.first).msg.RecordedAt
	}
	return s, nil
}

// Flush implements Queue.
func (q *memoryQueue) Flush(ctx context.Context) error {
	q.mu.Lock()
	for mark := q.seq; q.first != none && q.at(q.first).seq <= mark; {
		if q.moved == nil {
			q.moved = make(chan struct{})
		}
		moved := q.moved
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
		q.mu.Lock()
	}
	q.mu.Unlock()
	return nil
}

// Close implements Queue. What is left is still in Undelivered.
func (q *memoryQueue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	return nil
}

// Undelivered implements UndeliveredLister.
func (q *memoryQueue) Undelivered() []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ms []Message
	for i := q.first; i != none; i = q.at(i).after {
		ms = append(ms, q.at(i).msg)
	}
	return ms
}
