package queuetest

import (
	"context"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
)

var retryCases = []testCase{
	{"tries again and counts attempts, but not held ones", (*rig).testRetry},
	{"waits as long as an error asks for", (*rig).testRetryAfter},
	{"does not offer a permanent failure again", (*rig).testPermanent},
	{"survives deliveries that panic", (*rig).testPanic},
}

func (r *rig) testRetry() {
	m := r.sale("1", "ann", 100)
	m.Attempt = 7 // of another queue
	r.put(m)
	errs := []error{heldError(r.t), retryError(r.t), retryError(r.t), nil}
	r.start(2, func(context.Context, fprom.Message) (fprom.Result, error) {
		if err := errs[min(len(r.deliveries(m)), len(errs))-1]; err != nil {
			return failed(err)
		}
		return done()
	})
	r.wait("four deliveries", func() bool { return r.ended(m) == len(errs) })
	r.idle(quiet)
	var got []int
	for _, d := range r.deliveries(m) {
		got = append(got, d.Attempt)
	}
	if want := []int{1, 1, 2, 3}; !slices.Equal(got, want) {
		r.t.Errorf("Attempt of deliveries that are held, failed, failed, done: %v, want %v", got, want)
	}
}

func (r *rig) testRetryAfter() {
	const pause = 1500 * time.Millisecond // longer than the backoff after a first attempt
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(2, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Attempt == 1 {
			return failed(&fprom.APIError{StatusCode: 503, RetryAfter: pause})
		}
		return done()
	})
	r.wait("a failed delivery", func() bool { return r.ended(m) >= 1 })
	r.noted(m)
	r.restart()
	r.wait("two deliveries", func() bool { return r.ended(m) == 2 })
	ds := r.deliveries(m)
	if ds[1].Attempt != 2 {
		r.t.Errorf("the second delivery has Attempt %d, want 2", ds[1].Attempt)
	}
	if waited := ds[1].start.Sub(ds[0].end); waited < pause-5*time.Millisecond {
		r.t.Errorf("tried again after %v, want at least %v", waited, pause)
	}
}

func (r *rig) testPermanent() {
	bad, next := r.sale("bad", "ann", 100), r.sale("next", "ann", 100)
	r.put(bad, next)
	r.start(2, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == bad.Key {
			return rejected()
		}
		return done()
	})
	r.wait("the next of the customer delivered", func() bool { return r.ended(next) == 1 || len(r.deliveries(bad)) > 1 })
	r.idle(1100 * time.Millisecond) // longer than a retry takes
	if n := len(r.deliveries(bad)); n != 1 {
		r.t.Errorf("a permanent failure was delivered %d times, want 1", n)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.q.Flush(ctx); err != nil {
		r.t.Errorf("Flush after a permanent failure: %v", err)
	}
	if s := r.stats(); s.Dead != 1 || s.Pending != 0 {
		r.t.Errorf("Stats after a permanent failure: %+v, want Dead 1, Pending 0", s)
	}
}

// testPanic lets more deliveries panic than there are workers.
func (r *rig) testPanic() {
	bad, other := r.sales("bad", 3), r.sale("other", "ann", 100)
	r.put(bad...)
	r.put(other)
	r.start(2, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key != other.Key && m.Attempt == 1 {
			panic("queuetest: this delivery panics")
		}
		return done()
	})
	r.wait("all delivered", func() bool {
		return r.ended(bad[0]) == 2 && r.ended(bad[1]) == 2 && r.ended(bad[2]) == 2 && r.ended(other) == 1
	})
	for _, m := range bad {
		if d := r.deliveries(m)[1]; d.Attempt != 2 {
			r.t.Errorf("the delivery of %s after one that panicked has Attempt %d, want 2", m.Key, d.Attempt)
		}
	}
	r.settled()
}
