package fpromtest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/fprom-go/fprom"
)

func (r *rig) testRunWaits() {
	release := make(chan struct{})
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(func(context.Context, fprom.Message) error { // deaf to its context
		<-release
		return nil
	})
	r.wait("the delivery under way", func() bool { return len(r.of(m)) == 1 })
	r.cancel()
	select {
	case err := <-r.result:
		r.t.Error("Run returned while a delivery was under way")
		r.result <- err
	case <-time.After(quiet):
	}
	close(release)
	r.stop()
	if n := r.ended(m); n != 1 {
		r.t.Errorf("%d deliveries have ended when Run returned, want 1", n)
	}
}

// untilEnd is a deliver that is interrupted by the end of its context.
func untilEnd(ctx context.Context, _ fprom.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

func (r *rig) testInterrupted() {
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(untilEnd)
	r.wait("the delivery under way", func() bool { return len(r.of(m)) == 1 })
	r.stop()
	if left, ok := r.undelivered(); ok {
		if len(left) != 1 || left[0].Key != m.Key || left[0].Attempt != 0 {
			r.t.Errorf("Undelivered after an interrupted first attempt: %+v, want %s with Attempt 0", left, m.Key)
		}
	}
	if s, ok := r.stats(); ok && s.Pending != 1 {
		r.t.Errorf("Stats after an interrupted attempt: %+v, want Pending 1", s)
	}
}

func (r *rig) testLateOutcome() {
	good, bad := r.sale("good", "ann", 100), r.sale("bad", "ben", 100)
	r.workers(2)
	r.put(good, bad)
	r.start(func(ctx context.Context, m fprom.Message) error {
		<-ctx.Done()
		if m.Key == bad.Key {
			return &fprom.APIError{StatusCode: 400, Message: msgAmount}
		}
		return nil
	})
	r.wait("both under way", func() bool { return len(r.keys()) == 2 })
	r.stop()
	if left, ok := r.undelivered(); ok && len(left) != 0 {
		r.t.Errorf("Undelivered lists %+v, which have an outcome", left)
	}
	if s, ok := r.stats(); ok && (s.Pending != 0 || s.Dead != 1) {
		r.t.Errorf("Stats: %+v, want Pending 0 and Dead 1", s)
	}
}

func (r *rig) testFlush() {
	f, ok := r.q.(interface {
		Flush(ctx context.Context) error
	})
	if !ok {
		return
	}
	r.workers(2)
	if err := f.Flush(r.t.Context()); err != nil {
		r.t.Errorf("Flush of an empty queue: %v", err)
	}
	first, later := r.sale("first", "ann", 100), r.sale("later", "ben", 100)
	release := map[string]chan struct{}{first.Key: make(chan struct{}), later.Key: make(chan struct{})}
	defer close(release[later.Key])
	r.put(first)
	r.start(func(_ context.Context, m fprom.Message) error {
		<-release[m.Key]
		return nil
	})
	short, cancel := context.WithTimeout(r.t.Context(), quiet)
	defer cancel()
	if err := f.Flush(short); !errors.Is(err, context.DeadlineExceeded) {
		r.t.Errorf("Flush with a message under way: %v, want the context's error", err)
	}
	flushed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		flushed <- f.Flush(ctx)
	}()
	r.idle(quiet) // Flush has begun
	r.put(later)
	r.wait("both under way", func() bool { return len(r.keys()) == 2 })
	close(release[first.Key])
	if err := <-flushed; err != nil {
		r.t.Errorf("Flush: %v; it must not wait for what was put after it", err)
	}
}

func (r *rig) stats() (fprom.QueueStats, bool) {
	r.t.Helper()
	q, ok := r.q.(interface {
		Stats(ctx context.Context) (fprom.QueueStats, error)
	})
	if !ok {
		return fprom.QueueStats{}, false
	}
	s, err := q.Stats(context.WithoutCancel(r.t.Context()))
	if err != nil {
		r.t.Fatalf("Stats: %v", err)
	}
	return s, true
}

func (r *rig) testStats() {
	if s, ok := r.stats(); !ok {
		return
	} else if s.Pending != 0 || !s.Oldest.IsZero() {
		r.t.Errorf("Stats of an empty queue: %+v", s)
	}
	old, young := r.sale("old", "ann", 100), r.sale("young", "ben", 100)
	old.RecordedAt = old.RecordedAt.Add(-time.Hour)
	r.put(old, young)
	if s, _ := r.stats(); s.Pending != 2 || s.Oldest.Sub(old.RecordedAt).Abs() > time.Millisecond {
		r.t.Errorf("Stats: %+v, want 2 pending, the oldest of %v", s, old.RecordedAt)
	}
	r.start(nil)
	r.wait("Stats without a pending message", func() bool {
		s, _ := r.stats()
		return s.Pending == 0 && s.Oldest.IsZero()
	})
}

func (r *rig) undelivered() ([]fprom.Message, bool) {
	q, ok := r.q.(interface{ Undelivered() []fprom.Message })
	if !ok {
		return nil, false
	}
	return q.Undelivered(), true
}

func (r *rig) testUndelivered() {
	if _, ok := r.undelivered(); !ok {
		return
	}
	var want, got []string
	for i := range 6 {
		m := r.sale(strconv.Itoa(i), "customer"+strconv.Itoa(i%4), 100)
		r.put(m)
		if i != 2 {
			want = append(want, m.Key)
		}
	}
	done := r.sale("2", "customer2", 100)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Key == done.Key {
			return nil
		}
		return errLater
	})
	r.wait("one delivered", func() bool { return r.ended(done) == 1 })
	r.idle(quiet)
	r.stop()
	left, _ := r.undelivered()
	for _, m := range left {
		got = append(got, m.Key)
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("Undelivered: %v, want %v", got, want)
	}
}
