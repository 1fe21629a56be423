package backlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNotDue is fprom.ErrNotDue: Flush's error wraps it if what is left is not due before the deadline.
var ErrNotDue = errors.New("fprom: what is left is not due before the deadline")

// Flush waits until every message that is in the line now has left it, or ctx ends. Its error wraps ErrNotDue as soon as
// nothing of what is left is under way or due before ctx's deadline.
func (l *Line[T]) Flush(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { l.wake(l.left.Broadcast) })()
	l.mu.Lock()
	defer l.mu.Unlock()
	mark, deadline := l.last, never
	if t, ok := ctx.Deadline(); ok {
		deadline = l.now() + time.Until(t)
	}
	for {
		due, left := l.earliest(mark)
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
		l.left.Wait()
	}
}

// Close ends every Flush with err. From now on Flush and Run return it.
func (l *Line[T]) Close(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = err
	l.left.Broadcast()
}

// earliest is when a message with a Seq up to mark may go: 0 if now, or if it is under way. left: there is one.
func (l *Line[T]) earliest(mark uint64) (due time.Duration, left bool) {
	due = never
	l.first(func(it *Item[T], at time.Duration) {
		if it.Seq <= mark {
			due, left = min(due, at), true
		}
	})
	return due, left
}

// Oldest is the message that was put first; nil if there is none.
func (l *Line[T]) Oldest() (oldest *Item[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first(func(it *Item[T], _ time.Duration) {
		if oldest == nil || it.Seq < oldest.Seq {
			oldest = it
		}
	})
	return oldest
}

// first calls f with enough messages, and when they may go, to find the oldest and the earliest: what is under way, the
// oldest new ones, and all tried ones. Those behind another in their lane are younger than it and go later.
func (l *Line[T]) first(f func(it *Item[T], at time.Duration)) {
	for it := range l.underWay {
		f(it, 0)
	}
	for _, t := range l.turns {
		if len(t.fresh) > 0 {
			f(t.fresh[0], 0)
		}
		for _, it := range t.tried {
			f(it, it.due)
		}
	}
}
