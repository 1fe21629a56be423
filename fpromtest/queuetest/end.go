package queuetest

import (
	"context"
	"errors"
	"time"

	"github.com/fprom-go/fprom"
)

var endCases = []testCase{
	{"ends after the calls under way and begins no more", (*rig).testRunWaits},
	{"does not count an interrupted attempt", (*rig).testInterrupted},
	{"keeps an outcome that came after the end", (*rig).testLateOutcome},
	{"refuses a second Run", (*rig).testSecondRun},
	{"answers ErrQueueClosed after Close", (*rig).testClosed},
}

func (r *rig) testRunWaits() {
	release, open := r.gate()
	m, next := r.sale("1", "ann", 100), r.sale("2", "ben", 100)
	r.put(m, next)
	r.start(1, func(context.Context, fprom.Message) (fprom.Result, error) { // ignores its context
		<-release
		return done()
	})
	r.wait("the delivery under way", func() bool { return len(r.deliveries(m)) == 1 })
	r.cancel()
	select {
	case err := <-r.result:
		r.t.Error("Run returned while a delivery was under way")
		r.result <- err
	case <-time.After(quiet):
	}
	open()
	r.stop()
	if n := r.ended(m); n != 1 {
		r.t.Errorf("%d deliveries have ended when Run returned, want 1", n)
	}
	if n := len(r.deliveries(next)); n != 0 {
		r.t.Error("a delivery began after the end of Run's context")
	}
}

// untilEnd is a deliver function that returns when its context ends.
func untilEnd(ctx context.Context, _ fprom.Message) (fprom.Result, error) {
	<-ctx.Done()
	return failed(ctx.Err())
}

func (r *rig) testInterrupted() {
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(2, untilEnd)
	r.wait("the delivery under way", func() bool { return len(r.deliveries(m)) == 1 })
	r.stop()
	if s := r.stats(); s.Pending != 1 {
		r.t.Errorf("Stats after an interrupted attempt: %+v, want Pending 1", s)
	}
	r.restart()
	r.start(2, nil)
	r.wait("the delivery by another Run", func() bool { return r.ended(m) == 2 })
	r.checkSame(r.deliveries(m)[1].Message, m)
}

func (r *rig) testLateOutcome() {
	good, bad, next := r.sale("good", "ann", 100), r.sale("bad", "ben", 100), r.sale("next", "ann", 100)
	r.put(good, bad, next)
	r.start(2, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
		<-ctx.Done()
		if m.Key == bad.Key {
			return rejected()
		}
		return done()
	})
	r.wait("both under way", func() bool { return len(r.keys()) == 2 })
	r.stop()
	r.restart()
	if s := r.stats(); s.Pending != 1 || s.Dead != 1 {
		r.t.Errorf("Stats: %+v, want Pending 1 and Dead 1", s)
	}
	r.start(2, nil)
	r.checkOnce(good, bad, next)
}

func (r *rig) testSecondRun() {
	gate, open := r.gate()
	m, later := r.sale("1", "ann", 100), r.sale("2", "ann", 100)
	r.put(m)
	r.start(2, func(context.Context, fprom.Message) (fprom.Result, error) {
		<-gate
		return done()
	})
	r.wait("the delivery under way", func() bool { return len(r.deliveries(m)) == 1 })
	second := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { second <- r.q.Run(ctx, 2, untilEnd) }()
	select {
	case err := <-second:
		if !errors.Is(err, fprom.ErrQueueInUse) {
			r.t.Errorf("a second Run returned %v, want ErrQueueInUse", err)
		}
	case <-time.After(patience):
		r.t.Error("a second Run has not returned, want ErrQueueInUse")
		cancel()
		if err := <-second; err != nil {
			r.t.Errorf("a second Run returned %v when its context ended", err)
		}
	}
	open()
	r.stop()
	r.put(later)
	r.start(2, nil)
	r.checkOnce(m, later)
}

func (r *rig) testClosed() {
	m := r.sale("1", "ann", 100)
	r.close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for what, err := range r.afterClose(ctx, m) {
		if !errors.Is(err, fprom.ErrQueueClosed) {
			r.t.Errorf("%s after Close: %v, want ErrQueueClosed", what, err)
		}
	}
}

func (r *rig) afterClose(ctx context.Context, m fprom.Message) map[string]error {
	_, stats := r.q.Stats(ctx)
	errs := map[string]error{
		"Put": r.q.Put(ctx, m), "Flush": r.q.Flush(ctx), "Run": r.q.Run(ctx, 1, untilEnd), "Stats": stats,
	}
	if o, ok := r.q.(fprom.Outbox); ok {
		for _, err := range o.Entries(ctx, fprom.Filter{}) {
			errs["Entries"] = err
			break
		}
		_, errs["Redrive"] = o.Redrive(ctx, fprom.Filter{})
		_, errs["Drop"] = o.Drop(ctx, fprom.Filter{})
		_, errs["History"] = o.History(ctx, time.Now().Add(-time.Minute), time.Now(), time.Second)
		_, errs["Forget"] = o.Forget(ctx, "ann@example.com")
		if _, ok := errs["Entries"]; !ok {
			errs["Entries"] = nil
		}
	}
	return errs
}
