package queuetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

var (
	patience = 2 * time.Minute        // how long a case waits for something that must happen
	quiet    = 150 * time.Millisecond // how long it waits for something that must not happen
)

// deliverFunc is the function that Queue.Run calls.
type deliverFunc func(ctx context.Context, m fprom.Message) (fprom.Result, error)

// delivery is one call of deliver.
type delivery struct {
	fprom.Message
	start, end time.Time // end is zero until it returns
}

// rig drives one queue through one test.
type rig struct {
	t       *testing.T
	open    func() fprom.Queue // opens q, or another queue with the same store
	durable bool
	q       fprom.Queue
	cancel  context.CancelFunc // ends Run; nil if it does not run
	rerun   func()             // starts the last Run again
	result  chan error         // of Run
	closed  bool

	mu       sync.Mutex
	calls    []*delivery
	active   int
	most     int            // largest value of active
	lanes    map[string]int // active calls by customer
	overlaps []string       // keys delivered during another delivery of their customer
	moved    chan struct{}
}

func newRig(t *testing.T, durable bool, open func() fprom.Queue) *rig {
	t.Helper()
	r := &rig{t: t, open: open, durable: durable, q: open(), lanes: map[string]int{}, moved: make(chan struct{})}
	t.Cleanup(r.close)
	return r
}

// start starts Run. With a nil deliver every delivery succeeds.
func (r *rig) start(workers int, deliver deliverFunc) {
	if deliver == nil {
		deliver = func(context.Context, fprom.Message) (fprom.Result, error) { return done() }
	}
	ctx, cancel := context.WithCancel(context.Background())
	q, result := r.q, make(chan error, 1)
	r.cancel, r.result, r.rerun = cancel, result, func() { r.start(workers, deliver) }
	go func() {
		result <- q.Run(ctx, workers, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
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
	r.overlaps = nil
}

// restart closes a durable queue and opens it again, as a new process does. If Run was under way, it goes on. Any other queue it leaves
// alone, so that one case proves a rule with and without a restart.
func (r *rig) restart() {
	r.t.Helper()
	if !r.durable {
		return
	}
	running := r.cancel != nil
	r.close()
	r.q, r.closed = r.open(), false
	if running {
		r.rerun()
	}
}

// wait waits until cond returns true. cond may call the counting methods of the rig and the queue.
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
		case <-time.After(10 * time.Millisecond): // a change in the queue itself gives no signal
		case <-end:
			r.t.Fatalf("waited %v in vain: %s; deliveries: %v", patience, what, r.keys())
		}
	}
}

// gate returns a channel at which deliveries wait, until open is called or the test ends.
func (r *rig) gate() (gate <-chan struct{}, open func()) {
	c := make(chan struct{})
	open = sync.OnceFunc(func() { close(c) })
	r.t.Cleanup(open)
	return c, open
}

// idle waits, to see that something does not happen.
func (r *rig) idle(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.t.Context().Done():
	}
}

// keys returns the keys of all deliveries, in the order of their start.
func (r *rig) keys() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := make([]string, len(r.calls))
	for i, d := range r.calls {
		keys[i] = d.Key
	}
	return keys
}

// deliveries returns all deliveries of one message.
func (r *rig) deliveries(m fprom.Message) []delivery {
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

// ended returns how many deliveries of m have returned.
func (r *rig) ended(m fprom.Message) int {
	n := 0
	for _, d := range r.deliveries(m) {
		if !d.end.IsZero() {
			n++
		}
	}
	return n
}

// inProgress returns how many deliveries are active, and the largest number so far.
func (r *rig) inProgress() (active, most int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active, r.most
}

// put stores messages. An error fails the test.
func (r *rig) put(ms ...fprom.Message) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.q.Put(ctx, ms...); err != nil {
		r.t.Fatalf("Put: %v", err)
	}
}

// noted waits until the queue has noted that an attempt of m failed. Before that, its end would interrupt the attempt.
func (r *rig) noted(m fprom.Message) {
	r.t.Helper()
	if _, ok := r.q.(fprom.Outbox); ok {
		r.wait("a failed attempt to be noted", func() bool { return r.one(fprom.Filter{Keys: []string{m.Key}}).Attempts > 0 })
	} else {
		r.idle(quiet) // any other queue does not tell
	}
}

// checkOnce checks that each message is delivered exactly once. It waits a little for a second delivery.
func (r *rig) checkOnce(ms ...fprom.Message) {
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
		if n := len(r.deliveries(m)); n != 1 {
			r.t.Errorf("%s was delivered %d times, want 1", m.Key, n)
		}
	}
}

// settled waits until the queue has noted the outcome of every message.
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
