package riverqueue

import (
	"context"
	"sync"

	"github.com/fprom-go/fprom"
)

// line is where calls wait for the rate limit. One at a time asks for a slot, those that wait are served in the order they
// came, and a bulk event gives its place, and its slot, to any live one that comes.
type line struct {
	turn chan struct{} // held by the call that waits for its slot
	bulk chan struct{} // held by the one bulk event that may wait for its turn

	mu   sync.Mutex
	live int
	came chan struct{} // closed when a live one comes
	gone chan struct{} // closed when the last live one has gone
}

func newLine() *line {
	l := &line{turn: make(chan struct{}, 1), bulk: make(chan struct{}, 1), came: make(chan struct{}), gone: make(chan struct{})}
	close(l.gone)
	return l
}

func (l *line) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live++; l.live == 1 {
		close(l.came)
		l.gone = make(chan struct{})
	}
}

func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.live--; l.live == 0 {
		close(l.gone)
		l.came = make(chan struct{})
	}
}

func (l *line) channels() (came, gone chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.came, l.gone
}

// take waits until turn is free and takes it.
func (q *Queue) take(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closed:
		return fprom.ErrQueueClosed
	}
}

// waitGone waits until no live event waits.
func (q *Queue) waitGone(ctx context.Context) error {
	_, gone := q.line.channels()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closed:
		return fprom.ErrQueueClosed
	}
}
