package queuetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

// durableCases: most are cases of TestQueue, here with a restart in the middle.
var durableCases = []testCase{
	{"keeps what is pending, in order", (*rig).testOldestFirst},
	{"keeps the number of attempts and when a retry is due", (*rig).testRetryAfter},
	{"keeps bulk apart", (*rig).testBulkLast},
	{"keeps what was set aside aside", (*rig).testSetAside},
	{"does not count an interrupted attempt", (*rig).testInterrupted},
	{"keeps an outcome that came after the end", (*rig).testLateOutcome},
	{"remembers ids and amounts", (*rig).testRemembers},
	{"shares the limit and the pause", (*rig).testShared},
}

// testRemembers: one event is done and another waits.
func (r *rig) testRemembers() {
	finished, pending, fresh := r.sale("done", "ann", 100), r.sale("pending", "ben", 100), r.sale("fresh", "ann", 100)
	r.put(finished)
	r.start(2, nil)
	r.checkOnce(finished)
	r.put(finished)
	r.stop()
	r.put(pending)
	if s := r.stats(); s.Pending != 1 || s.Ledger != 1 || s.LastSuccess.IsZero() {
		r.t.Errorf("Stats: %+v, want Pending 1, Ledger 1 and LastSuccess", s)
	}
	r.restart()
	changed := []fprom.Message{r.sale("done", "ann", 999), r.sale("pending", "ben", 999)}
	for range 2 {
		r.checkConflict("other amounts after reopening", r.q.Put(r.t.Context(), append(changed, fresh)...), changed...)
	}
	r.put(finished, pending)
	r.start(2, nil)
	r.checkOnce(finished, pending, fresh)
	r.checkSame(r.deliveries(pending)[0].Message, pending)
}

// testShared opens a Limiter twice, as two processes do.
func (r *rig) testShared() {
	a, ok := r.q.(fprom.Limiter)
	if !ok {
		return
	}
	other := newRig(r.t, true, r.open)
	b := other.q.(fprom.Limiter)
	r.start(2, nil)
	other.start(2, nil)

	const perMinute = 4
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted := 0
	for range perMinute {
		for _, q := range []fprom.Limiter{a, b} {
			wg.Go(func() {
				if q.Admit(ctx, perMinute) == nil {
					mu.Lock()
					defer mu.Unlock()
					if admitted++; admitted == 1 {
						time.AfterFunc(time.Second, cancel)
					}
				}
			})
		}
	}
	wg.Wait()
	if admitted < 1 || admitted > perMinute {
		r.t.Errorf("%d calls were admitted within a second of the first, want at least 1, and at most %d: the account's limit of a minute", admitted, perMinute)
	}
	if err := a.Pause(r.t.Context(), time.Minute, errors.New("queuetest: the account is paused")); err != nil {
		r.t.Fatalf("Pause: %v", err)
	}
	other.wait("the other process to know of the pause and its reason", func() bool {
		s := other.stats()
		return time.Until(s.PausedUntil) > 30*time.Second && s.PauseReason != ""
	})
	short, cancel := context.WithTimeout(r.t.Context(), quiet)
	defer cancel()
	if err := b.Admit(short, 6000); err == nil {
		r.t.Error("Admit let a call through in the pause that another process has told")
	}
}
