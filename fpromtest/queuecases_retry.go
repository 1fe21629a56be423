package fpromtest

import (
	"context"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
)

func (r *rig) testRetry() {
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Attempt < 3 {
			return errLater
		}
		return nil
	})
	r.wait("three deliveries", func() bool { return r.ended(m) == 3 })
	r.idle(quiet)
	for i, d := range r.of(m) {
		if d.Attempt != i+1 {
			r.t.Errorf("delivery %d has Attempt %d", i+1, d.Attempt)
		}
	}
	if n := len(r.of(m)); n != 3 {
		r.t.Errorf("%d deliveries, want 3", n)
	}
}

func (r *rig) testRetryAfter() {
	const pause = 1200 * time.Millisecond // more than the backoff of a first attempt
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Attempt == 1 {
			return &fprom.APIError{StatusCode: 503, RetryAfter: pause}
		}
		return nil
	})
	r.wait("two deliveries", func() bool { return r.ended(m) == 2 })
	ds := r.of(m)
	if waited := ds[1].start.Sub(ds[0].end); waited < pause-5*time.Millisecond {
		r.t.Errorf("tried again after %v, want at least %v", waited, pause)
	}
}

func (r *rig) testHeld() {
	held := heldError(r.t)
	m := r.sale("1", "ann", 100)
	r.put(m)
	errs := []error{held, errLater, nil}
	r.start(func(context.Context, fprom.Message) error {
		return errs[len(r.of(m))-1]
	})
	r.wait("three deliveries", func() bool { return r.ended(m) == len(errs) })
	var got []int
	for _, d := range r.of(m) {
		got = append(got, d.Attempt)
	}
	if want := []int{1, 1, 2}; !slices.Equal(got, want) {
		r.t.Errorf("Attempt of deliveries that are held, failed, done: %v, want %v", got, want)
	}
}

func (r *rig) testPermanent() {
	bad, next := r.sale("bad", "ann", 100), r.sale("next", "ann", 100)
	r.put(bad, next)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Key == bad.Key {
			return &fprom.APIError{StatusCode: 400, Message: msgAmount}
		}
		return nil
	})
	r.wait("the next of the customer delivered", func() bool { return r.ended(next) == 1 || len(r.of(bad)) > 1 })
	r.idle(1100 * time.Millisecond) // a retry would come within 1 s
	if n := len(r.of(bad)); n != 1 {
		r.t.Errorf("a permanent failure was delivered %d times, want 1", n)
	}
	if f, ok := r.q.(interface {
		Flush(ctx context.Context) error
	}); ok {
		ctx, cancel := context.WithTimeout(r.t.Context(), patience/10)
		defer cancel()
		if err := f.Flush(ctx); err != nil {
			r.t.Errorf("Flush after a permanent failure: %v", err)
		}
	}
	if s, ok := r.stats(); ok && (s.Dead != 1 || s.Pending != 0) {
		r.t.Errorf("Stats after a permanent failure: %+v, want Dead 1, Pending 0", s)
	}
}
