package boltqueue

import (
	"context"
	"fmt"

	"github.com/fprom-go/fprom"
)

// request is a transaction's worth of work that a caller waits for. It shares its commit with others.
type request struct {
	puts  []put
	apply func(*work) error // instead of puts: an error undoes the whole commit
	size  int               // bytes to write, about

	err  error // the caller's own error, if the commit succeeds
	done chan error
}

type put struct {
	m      fprom.Message
	hash   hash
	digest uint64
}

// Put stores messages, all or none, and returns when they are on disk. It implements fprom.Queue.
//
// If ctx ends first, Put returns ctx.Err(). Then the messages are stored only if their commit had begun; a caller may
// put them again, which stores nothing twice. After any other error but fprom.ErrConflict nothing is stored, unless the
// queue is out of use then (see the package's documentation). A full disk is such an error, and Put works again when there
// is space. A message may have 1 MiB. After Close: fprom.ErrQueueClosed.
func (q *Queue) Put(ctx context.Context, ms ...fprom.Message) error {
	if len(ms) == 0 {
		return nil
	}
	r := &request{puts: make([]put, len(ms))}
	for i, m := range ms {
		if n := len(m.Kind) + len(m.Customer) + len(m.Key) + len(m.Body); n > maxMessage {
			return fmt.Errorf("boltqueue: a %s of %d bytes; at most %d can be stored", m.Kind, n, maxMessage)
		}
		m.Attempt = 0
		r.puts[i] = put{m, hashKey(m.Key), m.Digest}
		r.size += len(m.Body) + 256
	}
	return q.do(ctx, r)
}

// do hands r to the committer and waits for its commit.
func (q *Queue) do(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.done = make(chan error, 1)
	q.mu.Lock()
	if err := q.unusable(); err != nil {
		q.mu.Unlock()
		return err
	}
	q.requests = append(q.requests, r)
	q.mu.Unlock()
	signal(q.kick)
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	return q.withdraw(ctx, r)
}

// withdraw takes r back if the committer has not begun with it.
func (q *Queue) withdraw(ctx context.Context, r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case err := <-r.done: // it was faster
		return err
	default:
	}
	for i, other := range q.requests {
		if other == r {
			q.requests = append(q.requests[:i], q.requests[i+1:]...)
			break
		}
	}
	return ctx.Err()
}

// Bounds of one commit: what a burst of puts may hold in memory, and make others wait for.
const (
	maxGroupBytes    = 4 << 20
	maxGroupOutcomes = 1024
	maxMessage       = 1 << 20
)

// takeRequests must be called with q.mu held.
func (q *Queue) takeRequests() []*request {
	size, n := 0, 0
	for n < len(q.requests) && (n == 0 || size+q.requests[n].size <= maxGroupBytes) {
		size += q.requests[n].size
		n++
	}
	group := q.requests[:n:n]
	q.requests = q.requests[n:]
	if len(q.requests) == 0 {
		q.requests = nil
	}
	return group
}
