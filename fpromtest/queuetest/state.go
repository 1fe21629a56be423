package queuetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

var stateCases = []testCase{
	{"flushes what was stored before", (*rig).testFlush},
	{"flushes no longer than something is due", (*rig).testFlushNotDue},
	{"tells its state", (*rig).testStats},
	{"lists what is left, oldest first", (*rig).testUndelivered},
	{"may be watched while it tells its state", (*rig).testWatch},
}

// asked is a context that tells when it is used.
type asked struct {
	context.Context //nolint:containedctx // it is one

	tell func()
}

func (a asked) Done() <-chan struct{} { a.tell(); return a.Context.Done() }
func (a asked) Err() error            { a.tell(); return a.Context.Err() }

func (r *rig) testFlush() {
	if err := r.q.Flush(r.t.Context()); err != nil {
		r.t.Errorf("Flush of an empty queue: %v", err)
	}
	first, later := r.sale("first", "ann", 100), r.sale("later", "ben", 100)
	gate, open := r.gate()
	never, _ := r.gate()
	release := map[string]<-chan struct{}{first.Key: gate, later.Key: never}
	r.put(first)
	r.start(2, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		<-release[m.Key]
		return done()
	})
	short, cancel := context.WithTimeout(r.t.Context(), quiet)
	defer cancel()
	if err := r.q.Flush(short); !errors.Is(err, context.DeadlineExceeded) {
		r.t.Errorf("Flush with a message under way: %v, want the context's error", err)
	}
	begun, flushed := make(chan struct{}), make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		tell := sync.OnceFunc(func() { close(begun) })
		err := r.q.Flush(asked{ctx, tell})
		tell()
		flushed <- err
	}()
	<-begun
	r.idle(time.Second) // until Flush knows what it waits for, on a busy machine too
	r.put(later)
	r.wait("both under way", func() bool { return len(r.keys()) == 2 })
	open()
	if err := <-flushed; err != nil {
		r.t.Errorf("Flush: %v; it must not wait for what was put after it", err)
	}
}

// testFlushNotDue: one event waits for ten minutes, and another event of its customer waits for it.
func (r *rig) testFlushNotDue() {
	waiting, behind, good := r.sale("waiting", "ann", 100), r.sale("behind", "ann", 100), r.sale("good", "ben", 100)
	gate, open := r.gate()
	r.put(waiting, behind, good)
	r.start(2, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == waiting.Key {
			return failed(&fprom.APIError{StatusCode: 503, RetryAfter: 10 * time.Minute})
		}
		<-gate
		return done()
	})
	r.wait("one failed, another under way", func() bool { return r.ended(waiting) == 1 && len(r.deliveries(good)) == 1 })
	flushed := make(chan error, 1)
	start := time.Now()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience/2)
		defer cancel()
		flushed <- r.q.Flush(ctx)
	}()
	select {
	case err := <-flushed:
		r.t.Errorf("Flush returned %v while a delivery was under way", err)
		flushed <- err
	case <-time.After(quiet):
	}
	open()
	if err := <-flushed; !errors.Is(err, fprom.ErrNotDue) || time.Since(start) > patience/4 {
		r.t.Errorf("Flush with a deadline in %v, when all that is left is due in ten minutes, returned %v after %v, want ErrNotDue at once", patience/2, err, time.Since(start))
	}
	ctx, cancel := context.WithCancel(r.t.Context()) // without a deadline Flush waits for every event
	time.AfterFunc(quiet, cancel)
	if err := r.q.Flush(ctx); !errors.Is(err, context.Canceled) {
		r.t.Errorf("Flush without a deadline returned %v, want the context's error when it ends", err)
	}
}

func (r *rig) testStats() {
	if s := r.stats(); s.Pending != 0 || s.Bulk != 0 || !s.Oldest.IsZero() || s.Dead != 0 || s.Delivering {
		r.t.Errorf("Stats of an empty queue: %+v", s)
	}
	old, young := r.sale("old", "ann", 100), r.sale("young", "ben", 100)
	old.RecordedAt = old.RecordedAt.Add(-time.Hour)
	r.put(old, young)
	if s := r.stats(); s.Pending != 2 || s.Oldest.Sub(old.RecordedAt).Abs() > time.Millisecond {
		r.t.Errorf("Stats: %+v, want 2 pending, the oldest of %v", s, old.RecordedAt)
	}
	gate, open := r.gate()
	start := time.Now()
	r.start(2, func(context.Context, fprom.Message) (fprom.Result, error) {
		<-gate
		return done()
	})
	r.wait("both under way", func() bool { return len(r.keys()) == 2 })
	r.wait("Stats that say so", func() bool { return r.stats().Delivering })
	for range 10 { // in whatever order the queue counts them
		if s := r.stats(); s.Pending != 2 || s.Oldest.Sub(old.RecordedAt).Abs() > time.Millisecond {
			r.t.Errorf("Stats: %+v, want Pending 2, the oldest of %v: those under way are included", s, old.RecordedAt)
		}
	}
	open()
	r.wait("Stats without a pending message", func() bool {
		s := r.stats()
		return s.Pending == 0 && s.Oldest.IsZero()
	})
	if s := r.stats(); !s.LastSuccess.IsZero() && (s.LastSuccess.Before(start.Add(-time.Second)) || s.LastSuccess.After(time.Now().Add(time.Second))) {
		r.t.Errorf("Stats: LastSuccess %v of events done since %v", s.LastSuccess, start)
	}
	r.stop()
	r.wait("Stats without a delivery", func() bool { return !r.stats().Delivering })
}

func (r *rig) testUndelivered() {
	q, ok := r.q.(fprom.UndeliveredLister)
	if !ok {
		return
	}
	fails := retryError(r.t)
	var want []string
	for i := range 6 {
		m := r.sale(strconv.Itoa(i), "customer"+strconv.Itoa(i%4), 100)
		r.put(m)
		if i != 2 {
			want = append(want, m.Key)
		}
	}
	ok2 := r.sale("2", "customer2", 100)
	r.start(4, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == ok2.Key {
			return done()
		}
		return failed(fails)
	})
	r.wait("one delivered", func() bool { return r.ended(ok2) == 1 })
	r.idle(quiet)
	r.stop()
	if got := keysOf(q.Undelivered()); !slices.Equal(got, want) {
		r.t.Errorf("Undelivered: %v, want %v", got, want)
	}
}

// testWatch gives the queue a function that calls the queue, as Tracker.Stats does.
func (r *rig) testWatch() {
	q, ok := r.q.(fprom.Watcher)
	if !ok {
		return
	}
	q.Watch(func() fprom.Stats {
		s, _ := r.q.Stats(context.Background())
		return fprom.Stats{Queue: s, Breaker: "closed"}
	})
	told := make(chan error, 1)
	go func() {
		_, err := r.q.Stats(context.Background())
		told <- err
	}()
	select {
	case err := <-told:
		if err != nil {
			r.t.Errorf("Stats of a queue that is watched: %v", err)
		}
	case <-time.After(patience):
		r.t.Fatal("Stats of a queue that is watched does not return: it waits for the Tracker, which waits for the queue")
	}
}
