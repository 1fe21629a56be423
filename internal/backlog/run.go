package backlog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// ErrInUse is fprom.ErrQueueInUse.
var ErrInUse = errors.New("fprom: another Tracker delivers from this queue; give each Tracker a queue of its own")

const never = time.Duration(math.MaxInt64)

// Run calls deliver for one message after the other, at most workers at once, until ctx ends. Then it waits for the calls under
// way. deliver must call Done or Retry. At most half of the workers deliver tried messages, so that messages that always run
// into a time-out do not occupy all workers. At most half deliver bulk messages, so that a live message finds a worker.
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
	l.running = false
	return nil
}

// Recovered calls deliver in a goroutine of its own, and returns a panic or a runtime.Goexit as an error. The Tracker recovers and logs
// its own panics before.
func Recovered[M, R any](ctx context.Context, deliver func(context.Context, M) (R, error), m M) (r R, err error) {
	var own sync.WaitGroup
	err = errors.New("fprom: the delivery ended its goroutine")
	own.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("fprom: the delivery panicked: %v", p)
			}
		}()
		r, err = deliver(ctx, m)
	})
	own.Wait()
	return r, err
}

// Running reports whether a Run is under way.
func (l *Line[T]) Running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

// wake calls f, a Signal or Broadcast, under the lock, so that the call cannot come between the check and the Wait of a goroutine.
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
			l.work.Signal() // there may be another message
			return it
		}
		if due < never {
			l.timer.Reset(due - l.now())
		}
		l.work.Wait()
	}
	return nil
}

// next removes the next message from ready and returns it. If there is none, it returns when a retry is due.
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
	for i := range l.ready {
		r := &l.ready[i]
		if i == bulk && bulks >= half {
			break
		}
		if it := r.next(l.now(), tried < half); it != nil {
			return it, 0
		}
		if tried < half && len(r.tried) > 0 {
			due = min(due, r.tried[0].due)
		}
	}
	return nil, due
}
