package fprom

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// probeTimeout is how long a probe keeps the next one waiting. An event that hangs must not stop all others until its own
// time-out. Its late answer still counts.
const probeTimeout = time.Second

// gate is where attempts wait while the circuit breaker is open (breaker.go) or the account is paused (pause.go). When
// the time is over, one event at a time is sent as a probe, until an answer opens the gate again.
type gate struct {
	mu        sync.Mutex
	breaker   *gobreaker.CircuitBreaker[struct{}] // only called with mu held
	open      context.Context                     //nolint:containedctx // of all attempts that enter; ends when the gate shuts
	endOpen   context.CancelFunc
	until     time.Time // no probe begins before
	probe     *attempt  // under way; the last one, if several are
	probeEnds time.Time // from then on the next probe does not wait for this one; zero until this one is sent
	probes    int       // since the breaker opened
	waiting   int       // attempts that wait at the gate and do not yield
	yielding  int       // attempts that wait at the gate and yield, see attempt.yields
	changed   signal

	reason       error               // why the account is paused; nil if it is not
	backoff      time.Duration       // the last wait for a probe after a 401
	refused      int                 // answers that refused an event since the last good one
	refusedInRow map[string]struct{} // keys of different events that were refused since the last good answer
}

func newGate(b BreakerConfig) *gate {
	g := &gate{refusedInRow: map[string]struct{}{}}
	g.open, g.endOpen = context.WithCancel(context.Background())
	g.breaker = g.newBreaker(b)
	return g
}

// enter waits until the attempt may begin. It must end with leave. An attempt of Track does not wait for the breaker: it
// gets ErrCircuitOpen.
func (g *gate) enter(ctx context.Context, a *attempt) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		a.open = g.open
		err := ctx.Err()
		switch {
		case err != nil && g.reason != nil:
			return fmt.Errorf("%w (%w): %w", ErrPaused, g.reason, err)
		case err != nil:
			return err
		case g.reason == nil && g.breaker.State() == gobreaker.StateClosed:
			return nil
		}
		wait := g.untilProbe(a)
		switch {
		case wait <= 0:
			g.probe, g.probeEnds = a, time.Time{}
			g.probes++
			return nil
		case !a.queued && g.reason == nil:
			return ErrCircuitOpen
		}
		g.await(ctx, wait, a)
	}
}

// untilProbe returns 0 if a is the next probe, else how long it must wait before it asks again. Bulk events and those that
// failed before come after all others. At the breaker they have the first probe of eight: if all first attempts fail, only they can succeed.
func (g *gate) untilProbe(a *attempt) time.Duration {
	othersWait, othersFirst := g.yielding, g.reason == nil && g.probes%8 == 0
	if a.yields() {
		othersWait, othersFirst = g.waiting, !othersFirst
	}
	switch {
	case time.Until(g.until) > 0:
		return time.Until(g.until)
	case g.probe != nil && g.probeEnds.IsZero():
		return probeTimeout
	case g.probe != nil && time.Until(g.probeEnds) > 0:
		return time.Until(g.probeEnds)
	case othersWait > 0 && othersFirst:
		return probeTimeout
	default:
		return 0
	}
}

// yields reports whether a comes after the other events that wait for a probe.
func (a *attempt) yields() bool { return a.failedBefore || a.Bulk }

// await waits for d or for a change of the gate. Called with mu held, and gives it up meanwhile.
func (g *gate) await(ctx context.Context, d time.Duration, a *attempt) {
	waiting := &g.waiting
	if a.yields() {
		waiting = &g.yielding
	}
	*waiting++
	_ = g.changed.wait(ctx, &g.mu, d) // enter looks at ctx
	*waiting--
}

// begin is called before a is sent. It reports whether the gate is still open for a.
func (g *gate) begin(a *attempt) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probe == a {
		g.probeEnds = time.Now().Add(probeTimeout)
	}
	return a.open.Err() == nil
}

// leave ends the attempt, whether it was sent or not.
func (g *gate) leave(a *attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probe == a {
		g.probe = nil
		g.changed.broadcast()
	}
}

// answered tells the breaker and the account's pause about the answer. It returns how long the account pauses because of
// it; 0 if it does not. The answer to an attempt that began before the gate shut says nothing new.
func (g *gate) answered(a *attempt, v *verdict) (pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.open.Err() == nil {
		g.count(a, v)
		pause = g.judge(a, v)
	}
	v.paused = g.reason != nil && v.class >= classSuspected
	return pause
}

// shut lets no attempt in for d, and then only probes. Called with mu held.
func (g *gate) shut(d time.Duration) {
	g.endOpen()
	g.open, g.endOpen = context.WithCancel(context.Background())
	g.until, g.probe = time.Now().Add(d), nil
	g.changed.broadcast()
}

// shutUntil waits until the gate is shut for longer than deadline, so that nothing is sent before. false: ctx has ended.
func (g *gate) shutUntil(ctx context.Context, deadline time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.until.After(deadline) {
		if g.changed.wait(ctx, &g.mu, time.Hour) != nil {
			return false
		}
	}
	return true
}

// state returns the gate's part of Stats. until and reason are zero if the account is not paused.
func (g *gate) state() (breaker string, until time.Time, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason != nil {
		until, reason = g.until, g.reason.Error()
	}
	return g.breaker.State().String(), until, reason
}

// signal wakes all who wait for it. Its methods are called with the lock of its owner held.
type signal struct{ ch chan struct{} }

// wait waits for d or for a broadcast, and gives up mu meanwhile. The error is that of ctx.
func (s *signal) wait(ctx context.Context, mu *sync.Mutex, d time.Duration) error {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	changed := s.ch
	mu.Unlock()
	defer mu.Lock()
	return sleepOr(ctx, d, changed)
}

func (s *signal) broadcast() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// sleepOr waits for d or for changed. The error is that of ctx.
func sleepOr(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	case <-changed:
	}
	return nil
}
