package queuetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

var (
	patience = 30 * time.Second       // for what must happen
	quiet    = 150 * time.Millisecond // for what must not
)

// deliverFunc is the function that Queue.Run calls.
type deliverFunc func(ctx context.Context, m fprom.Message) (fprom.Result, error)

// delivery is one call of deliver.
type delivery struct {
	fprom.Message
	start, end time.Time // end is zero while it is under way
}

// rig drives one queue through one test.
type rig struct {
	t      *testing.T
	q      fprom.Queue
	cancel context.CancelFunc // ends Run; nil before start
	result chan error         // of Run
	closed bool

	mu       sync.Mutex
	calls    []*delivery
	active   int
	most     int            // the largest active
	lanes    map[string]int // calls under way by customer
	overlaps []string       // keys delivered while another of the same customer was
	moved    chan struct{}
}

func newRig(t *testing.T, q fprom.Queue) *rig {
	t.Helper()
	r := &rig{t: t, q: q, lanes: map[string]int{}, moved: make(chan struct{})}
	t.Cleanup(r.close)
	return r
}

// start begins Run. deliver may be nil: every delivery succeeds.
func (r *rig) start(workers int, deliver deliverFunc) {
	if deliver == nil {
		deliver = func(context.Context, fprom.Message) (fprom.Result, error) { return done() }
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	r.cancel, r.result = cancel, result
	go func() {
		result <- r.q.Run(ctx, workers, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
			d := r.enter(m)
			defer r.leave(d)
			return deliver(ctx, m)
		})
	}()
}

func (r *rig) enter(m fprom.Message) *delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := &delivery{Message: m, start: time.Now()}
	r.calls = append(r.calls, d)
	if r.lanes[m.Customer] > 0 {
		r.overlaps = append(r.overlaps, m.Key)
	}
	r.lanes[m.Customer]++
	r.active++
	r.most = max(r.most, r.active)
	r.notify()
	return d
}

func (r *rig) leave(d *delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d.end = time.Now()
	r.lanes[d.Customer]--
	r.active--
	r.notify()
}

func (r *rig) notify() {
	close(r.moved)
	r.moved = make(chan struct{})
}

// stop ends Run, which must return nil.
func (r *rig) stop() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	select {
	case err := <-r.result:
		if err != nil {
			r.t.Errorf("Run returned %v after its context ended, want nil", err)
		}
	case <-time.After(patience):
		r.t.Fatal("Run has not returned after its context ended and every delivery returned")
	}
}

// close ends Run and closes the queue, twice.
func (r *rig) close() {
	r.t.Helper()
	r.stop()
	if r.closed {
		return
	}
	r.closed = true
	for i := range 2 {
		if err := r.q.Close(); err != nil {
			r.t.Errorf("Close, call %d: %v", i+1, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range r.overlaps {
		r.t.Errorf("%s was delivered while another message of its customer was", key)
	}
}

// wait waits until cond holds, which may use the rig's counting methods and the queue.
func (r *rig) wait(what string, cond func() bool) {
	r.t.Helper()
	end := time.After(patience)
	for {
		r.mu.Lock()
		moved := r.moved
		r.mu.Unlock()
		if cond() {
			return
		}
		select {
		case <-moved:
		case <-time.After(10 * time.Millisecond): // the queue's own state gives no sign
		case <-end:
			r.t.Fatalf("waited %v in vain: %s; deliveries: %v", patience, what, r.keys())
		}
	}
}

// gate is a channel for deliveries to wait at, until it is opened or the test ends.
func (r *rig) gate() (gate <-chan struct{}, open func()) {
	c := make(chan struct{})
	open = sync.OnceFunc(func() { close(c) })
	r.t.Cleanup(open)
	return c, open
}

// idle lets time pass in which something must not happen.
func (r *rig) idle(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.t.Context().Done():
	}
}

// keys is the key of every delivery, in the order they began.
func (r *rig) keys() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]string, len(r.calls))
	for i, d := range r.calls {
		keys[i] = d.Key
	}
	return keys
}

// of is every delivery of one message.
func (r *rig) of(m fprom.Message) []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ds []delivery
	for _, d := range r.calls {
		if d.Key == m.Key {
			ds = append(ds, *d)
		}
	}
	return ds
}

// ended is how many deliveries of m have returned.
func (r *rig) ended(m fprom.Message) int {
	n := 0
	for _, d := range r.of(m) {
		if !d.end.IsZero() {
			n++
		}
	}
	return n
}

// under is how many deliveries are under way, and how many were at once at most.
func (r *rig) under() (active, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active, r.most
}

// put stores messages; that must succeed.
func (r *rig) put(ms ...fprom.Message) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.q.Put(ctx, ms...); err != nil {
		r.t.Fatalf("Put: %v", err)
	}
}

// once checks that each message was delivered exactly once, also when one waits a little longer.
func (r *rig) once(ms ...fprom.Message) {
	r.t.Helper()
	r.wait("every message delivered", func() bool {
		for _, m := range ms {
			if r.ended(m) == 0 {
				return false
			}
		}
		return true
	})
	r.idle(quiet)
	for _, m := range ms {
		if n := len(r.of(m)); n != 1 {
			r.t.Errorf("%s was delivered %d times, want 1", m.Key, n)
		}
	}
}

// settled waits until the queue itself has noted the outcome of everything that was put.
func (r *rig) settled() {
	r.t.Helper()
	r.wait("nothing pending", func() bool {
		s := r.stats()
		return s.Pending == 0 && s.Bulk == 0
	})
}

func (r *rig) stats() fprom.QueueStats {
	r.t.Helper()
	s, err := r.q.Stats(context.WithoutCancel(r.t.Context()))
	if err != nil {
		r.t.Fatalf("Stats: %v", err)
	}
	return s
}
