package backlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNotDue is fprom.ErrNotDue.
var ErrNotDue = errors.New("fprom: the remaining events are not due before the deadline")

// Flush waits until every message that is in the line now is done, or ctx ends. It returns an error that wraps ErrNotDue as soon
// as none of the messages that are left is under way or due before the deadline of ctx.
func (l *Line[T]) Flush(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { l.wake(l.settled.Broadcast) })()
	l.mu.Lock()
	defer l.mu.Unlock()
	last, deadline := l.last, never
	if t, ok := ctx.Deadline(); ok {
		deadline = l.in(time.Until(t))
	}
	for {
		due, left := l.earliest(last)
		switch {
		case l.closed != nil:
			return l.closed
		case !left:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case due > deadline:
			return fmt.Errorf("%w: the next one is due in %v", ErrNotDue, (due - l.now()).Round(time.Second))
		}
		l.settled.Wait()
	}
}

// Close ends every Flush with err. From now on Add does nothing, and Flush and a new Run return err.
func (l *Line[T]) Close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = err
	l.settled.Broadcast()
}

// earliest returns the earliest due time of the messages with Seq ≤ last: 0 if one may go now or is under way. found is false if
// there is none.
func (l *Line[T]) earliest(last uint64) (due time.Duration, found bool) {
	due = never
	l.heads(func(it *Item[T], at time.Duration) {
		if it.Seq <= last {
			due, found = min(due, at), true
		}
	})
	return due, found
}

// Oldest returns the message with the lowest Seq; nil if there is none.
func (l *Line[T]) Oldest() (oldest *Item[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heads(func(it *Item[T], _ time.Duration) {
		if oldest == nil || it.Seq < oldest.Seq {
			oldest = it
		}
	})
	return oldest
}

// heads calls f for every message that can be the oldest or the earliest, with its due time: all under way, the oldest new
// message of each class, and all tried ones. It leaves out the messages behind another one of their lane: they come later.
func (l *Line[T]) heads(f func(it *Item[T], at time.Duration)) {
	for it := range l.underWay {
		f(it, 0)
	}
	for _, r := range l.ready {
		if len(r.fresh) > 0 {
			f(r.fresh[0], 0)
		}
		for _, it := range r.tried {
			f(it, it.due)
		}
	}
}
