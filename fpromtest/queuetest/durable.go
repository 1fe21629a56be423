package queuetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

var durableCases = []durableCase{
	{"keeps what is pending, in order", reopener.testPending},
	{"keeps the number of attempts", reopener.testAttempts},
	{"keeps when a retry is due", reopener.testDue},
	{"keeps bulk apart", reopener.testBulk},
	{"keeps what was set aside aside", reopener.testSetAside},
	{"does not count an interrupted attempt", reopener.testInterrupted},
	{"keeps an outcome that came after the end", reopener.testLateOutcome},
	{"remembers ids that are done", reopener.testDone},
	{"reports a conflict with what is stored", reopener.testConflict},
	{"stores nothing after Close", reopener.testPutAfterClose},
	{"shares the limit and the pause", reopener.testShared},
}

func (o reopener) testPending() {
	r := o.open()
	ms := []fprom.Message{r.sale("1", "ann", 100), r.sale("2", "ann", 200), r.sale("3", "ben", 300)}
	r.put(ms...)
	r.close()
	r = o.open()
	r.put(ms[0]) // stores nothing
	r.start(4, nil)
	r.checkOnce(ms...)
	for _, m := range ms {
		r.checkSame(r.deliveries(m)[0].Message, m)
	}
	if keys := r.keys(); slices.Index(keys, ms[0].Key) > slices.Index(keys, ms[1].Key) {
		o.t.Errorf("deliveries after reopening: %v, want %s before %s", keys, ms[0].Key, ms[1].Key)
	}
}

func (o reopener) testAttempts() {
	r := o.open()
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(2, func(context.Context, fprom.Message) (fprom.Result, error) {
		return failed(&fprom.APIError{StatusCode: 503, RetryAfter: time.Second})
	})
	r.wait("a failed delivery", func() bool { return r.ended(m) == 1 })
	r.idle(quiet) // the queue notes the failure before its context ends
	r.close()
	r = o.open()
	r.start(2, nil)
	r.checkOnce(m)
	if d := r.deliveries(m)[0]; d.Attempt != 2 {
		o.t.Errorf("first delivery after reopening has Attempt %d, want 2", d.Attempt)
	}
}

func (o reopener) testDue() {
	const pause = 1500 * time.Millisecond
	r := o.open()
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(2, func(context.Context, fprom.Message) (fprom.Result, error) {
		return failed(&fprom.APIError{StatusCode: 503, RetryAfter: pause})
	})
	r.wait("a failed delivery", func() bool { return r.ended(m) == 1 })
	ended := r.deliveries(m)[0].end
	r.idle(quiet)
	r.close()
	r = o.open()
	r.start(2, nil)
	r.wait("the retry", func() bool { return len(r.deliveries(m)) == 1 })
	if waited := r.deliveries(m)[0].start.Sub(ended); waited < pause-5*time.Millisecond {
		o.t.Errorf("tried again by another process after %v, want at least %v", waited, pause)
	}
}

func (o reopener) testBulk() {
	r := o.open()
	old, live := bulk(r.sales("bulk", 3)...), r.sales("live", 3)
	r.put(old...)
	r.put(live...)
	r.close()
	r = o.open()
	if s := r.stats(); s.Pending != 3 || s.Bulk != 3 {
		o.t.Errorf("Stats after reopening: %+v, want Pending 3 and Bulk 3", s)
	}
	r.start(1, nil)
	r.checkOrder(append(keysOf(live), keysOf(old)...)...)
	r.checkSame(r.deliveries(old[0])[0].Message, old[0])
}

func (o reopener) testSetAside() {
	aside := setAsideError(o.t)
	r := o.open()
	bad, next := r.sale("bad", "ann", 100), r.sale("next", "ann", 100)
	r.put(bad)
	r.start(2, func(context.Context, fprom.Message) (fprom.Result, error) { return failed(aside) })
	r.wait("a failed delivery", func() bool { return r.ended(bad) == 1 })
	r.idle(quiet)
	r.close()
	r = o.open()
	r.put(next)
	r.start(2, nil)
	r.checkOnce(next)
	if n := len(r.deliveries(bad)); n != 0 {
		o.t.Errorf("what was set aside was delivered %d times right after reopening, want when it is due", n)
	}
}

func (o reopener) testInterrupted() {
	r := o.open()
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(2, untilEnd)
	r.wait("the delivery under way", func() bool { return len(r.deliveries(m)) == 1 })
	r.close()
	r = o.open()
	r.start(2, nil)
	r.checkOnce(m)
	r.checkSame(r.deliveries(m)[0].Message, m)
}

func (o reopener) testLateOutcome() {
	r := o.open()
	m, next := r.sale("1", "ann", 100), r.sale("2", "ann", 100)
	r.put(m, next)
	r.start(2, func(ctx context.Context, _ fprom.Message) (fprom.Result, error) {
		<-ctx.Done()
		return done()
	})
	r.wait("the delivery under way", func() bool { return len(r.deliveries(m)) == 1 })
	r.close()
	r = o.open()
	r.start(2, nil)
	r.checkOnce(next)
	if n := len(r.deliveries(m)); n != 0 {
		o.t.Errorf("what was delivered as Run ended was delivered again %d times", n)
	}
}

func (o reopener) testDone() {
	r := o.open()
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(2, nil)
	r.checkOnce(m)
	r.put(m)
	r.idle(quiet)
	if n := len(r.deliveries(m)); n != 1 {
		o.t.Errorf("%d deliveries after a second Put of an id that is done, want 1", n)
	}
	if s := r.stats(); s.Ledger != 1 || s.LastSuccess.IsZero() {
		o.t.Errorf("Stats: %+v, want Ledger 1 and LastSuccess", s)
	}
	r.close()
	r = o.open()
	marker := r.sale("2", "ben", 100)
	r.start(2, nil)
	r.put(m, marker)
	r.checkOnce(marker)
	if n := len(r.deliveries(m)); n != 0 {
		o.t.Errorf("%d deliveries after reopening of an id that is done, want 0", n)
	}
}

func (o reopener) testConflict() {
	r := o.open()
	finished, pending := r.sale("done", "ann", 100), r.sale("pending", "ben", 100)
	r.put(finished, pending)
	r.start(2, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == pending.Key {
			return untilEnd(ctx, m)
		}
		return done()
	})
	r.wait("one delivered, the other under way", func() bool { return r.ended(finished) == 1 && len(r.deliveries(pending)) == 1 })
	r.idle(quiet)
	r.close()
	r = o.open()
	fresh := r.sale("fresh", "ann", 100)
	changed := []fprom.Message{r.sale("done", "ann", 999), r.sale("pending", "ben", 999)}
	for range 2 {
		r.checkConflict("other amounts after reopening", r.q.Put(o.t.Context(), append(changed, fresh)...), changed...)
	}
	r.start(2, nil)
	r.checkOnce(pending, fresh)
	r.checkSame(r.deliveries(pending)[0].Message, pending)
	if n := len(r.deliveries(finished)); n != 0 {
		o.t.Errorf("%s was delivered again", finished.Key)
	}
}

func (o reopener) testPutAfterClose() {
	r := o.open()
	m := r.sale("1", "ann", 100)
	r.close()
	if err := r.q.Put(o.t.Context(), m); !errors.Is(err, fprom.ErrQueueClosed) {
		o.t.Errorf("Put after Close returned %v, want ErrQueueClosed", err)
	}
	r = o.open()
	r.start(2, nil)
	r.put(m)
	r.checkOnce(m)
}

// testShared opens a Limiter twice, as two processes do.
func (o reopener) testShared() {
	r := o.open()
	a, ok := r.q.(fprom.Limiter)
	if !ok {
		return
	}
	other := o.open()
	b := other.q.(fprom.Limiter)
	r.start(2, nil)
	other.start(2, nil)

	const perMinute = 4
	short, cancel := context.WithTimeout(o.t.Context(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted := 0
	for range perMinute {
		for _, q := range []fprom.Limiter{a, b} {
			wg.Go(func() {
				if q.Admit(short, perMinute) == nil {
					mu.Lock()
					defer mu.Unlock()
					admitted++
				}
			})
		}
	}
	wg.Wait()
	if admitted > perMinute {
		o.t.Errorf("%d calls were admitted in a second, but the account's limit is %d a minute", admitted, perMinute)
	}
	if err := a.Pause(o.t.Context(), time.Minute, errors.New("queuetest: the account is paused")); err != nil {
		o.t.Fatalf("Pause: %v", err)
	}
	other.wait("the other process to know of the pause", func() bool { return !other.stats().PausedUntil.IsZero() })
	ctx, cancel := context.WithTimeout(o.t.Context(), quiet)
	defer cancel()
	if err := b.Admit(ctx, 6000); err == nil {
		o.t.Error("Admit let a call through in the pause that another process has told")
	}
}
