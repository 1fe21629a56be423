package backlog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// ErrInUse is fprom.ErrQueueInUse: Run's error if another Run is under way.
var ErrInUse = errors.New("fprom: another Tracker delivers from this queue; give each Tracker a queue of its own")

const never = time.Duration(math.MaxInt64)

// Run calls deliver for the messages whose turn it is, at most workers at once, until ctx ends. Then it waits for the
// calls under way. deliver must end with Done or Retry. At most half of the workers have tried messages, so that those
// that always run into a time-out do not take them all, and at most half have bulk ones, so that a live one finds a worker.
func (l *Line[T]) Run(ctx context.Context, workers int, deliver func(context.Context, *Item[T])) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		return l.closed
	}
	if l.running {
		return ErrInUse
	}
	l.running, l.workers = true, max(workers, 1)
	defer context.AfterFunc(ctx, func() { l.wake(l.work.Broadcast) })()
	var wg sync.WaitGroup
	for range l.workers {
		wg.Go(func() {
			for it := l.take(ctx); it != nil; it = l.take(ctx) {
				deliver(ctx, it)
			}
		})
	}
	l.mu.Unlock()
	wg.Wait()
	l.mu.Lock()
	l.timer.Stop()
	l.running = false
	return nil
}

// Recovered calls deliver, whose panic is an error of this delivery. A Tracker recovers and logs its own.
func Recovered[M, R any](ctx context.Context, deliver func(context.Context, M) (R, error), m M) (r R, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("fprom: the delivery panicked: %v", p)
		}
	}()
	return deliver(ctx, m)
}

// Running reports whether a Run is under way.
func (l *Line[T]) Running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

// wake holds the lock, so that who is about to wait is not missed.
func (l *Line[T]) wake(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// take waits for the next message; nil when ctx has ended.
func (l *Line[T]) take(ctx context.Context) *Item[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ctx.Err() == nil {
		it, due := l.next()
		if it != nil {
			l.underWay[it] = struct{}{}
			l.work.Signal() // there may be more: wake another
			return it
		}
		if due < never {
			l.timer.Reset(due - l.now())
		}
		l.work.Wait()
	}
	return nil
}

// next is the message whose turn it is, or the time when there may be one.
func (l *Line[T]) next() (*Item[T], time.Duration) {
	tried, bulks := 0, 0
	for it := range l.underWay {
		if it.tried {
			tried++
		}
		if it.class == bulk {
			bulks++
		}
	}
	half := max(l.workers/2, 1)
	due := never
	for i := range l.turns {
		t := &l.turns[i]
		if i == bulk && bulks >= half {
			break
		}
		if it := t.next(l.now(), tried < half); it != nil {
			return it, 0
		}
		if tried < half && len(t.tried) > 0 {
			due = min(due, t.tried[0].due)
		}
	}
	return nil, due
}
