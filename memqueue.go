package fprom

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/fprom-go/fprom/internal/backlog"
)

// memoryQueue is a Queue that keeps its messages in a backlog.Line and nowhere else.
type memoryQueue struct {
	size int
	line *backlog.Line[Message]

	mu     sync.Mutex
	keys   map[string]*memoryItem
	bulk   int // how many of them are bulk events
	seq    uint64
	dead   int
	closed bool
}

type memoryItem = backlog.Item[Message]

var _ UndeliveredLister = (*memoryQueue)(nil)

// NewMemoryQueue returns a queue of at most size events. If size ≤ 0, it is 16,384: over half an hour at 400 a minute. The queue
// does not outlive the process. Put never blocks: it returns ErrQueueFull. Shutdown returns the remaining events in an
// *UndeliveredError. The queue keeps no dead letters: they are logged, counted, and given to the Observer (StageDead).
func NewMemoryQueue(size int) Queue {
	if size <= 0 {
		size = 16384
	}
	return &memoryQueue{size: size, line: backlog.New[Message](), keys: map[string]*memoryItem{}}
}

func (q *memoryQueue) Put(_ context.Context, ms ...Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrQueueClosed
	}
	var conflicts []string
	added := make([]*memoryItem, 0, 4)
	for _, m := range ms {
		if it := q.keys[m.Key]; it == nil {
			m.Attempt = 0
			q.seq++
			it = &memoryItem{Value: m, Seq: q.seq, Lane: backlog.LaneOf(m.Customer), Bulk: m.Bulk}
			q.keys[m.Key] = it
			added = append(added, it)
		} else if it.Value.Digest != m.Digest {
			conflicts = append(conflicts, m.Key)
		}
	}
	if len(q.keys) > q.size {
		for _, it := range added {
			delete(q.keys, it.Value.Key)
		}
		return ErrQueueFull
	}
	for _, it := range added {
		if it.Bulk {
			q.bulk++
		}
		q.line.Add(it)
	}
	if len(conflicts) > 0 {
		return &ConflictError{Keys: conflicts}
	}
	return nil
}

func (q *memoryQueue) Run(ctx context.Context, workers int, deliver func(context.Context, Message) (Result, error)) error {
	return q.line.Run(ctx, workers, func(ctx context.Context, it *memoryItem) {
		m := it.Value
		m.Attempt++
		_, err := backlog.Recovered(ctx, deliver, m)
		q.mu.Lock()
		defer q.mu.Unlock()
		if err != nil && !IsPermanent(err) {
			if !IsHeld(err) && ctx.Err() == nil {
				it.Value.Attempt = m.Attempt
			}
			q.line.Retry(it, RetryDelay(m.Attempt, err), IsSetAside(err))
			return
		}
		if err != nil {
			q.dead++
		}
		if it.Bulk {
			q.bulk--
		}
		delete(q.keys, m.Key)
		q.line.Done(it)
	})
}

func (q *memoryQueue) Flush(ctx context.Context) error { return q.line.Flush(ctx) }

func (q *memoryQueue) Stats(context.Context) (QueueStats, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return QueueStats{}, ErrQueueClosed
	}
	s := QueueStats{Pending: len(q.keys) - q.bulk, Bulk: q.bulk, Dead: q.dead, Delivering: q.line.Running()}
	if it := q.line.Oldest(); it != nil {
		s.Oldest = it.Value.RecordedAt
	}
	return s, nil
}

func (q *memoryQueue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.line.Close(ErrQueueClosed)
	return nil
}

func (q *memoryQueue) Undelivered() []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var left []Message
	for _, it := range slices.SortedFunc(maps.Values(q.keys), func(a, b *memoryItem) int { return cmp.Compare(a.Seq, b.Seq) }) {
		left = append(left, it.Value)
	}
	return left
}
