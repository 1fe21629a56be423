package fprom

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// probePatience is how long others wait for a probe. Then the next one begins, so that an event that hangs cannot keep
// all others waiting until its time-out; what it is answered then still counts.
const probePatience = time.Second

// gate is where events wait, in the hands of the workers, while FirstPromoter fails (the circuit breaker, breaker.go) or
// the account is paused (pause.go). When the time is up one event at a time probes, until an answer opens the gate again.
type gate struct {
	mu       sync.Mutex
	breaker  *gobreaker.CircuitBreaker[struct{}] // only called with mu held
	passes   context.Context                     //nolint:containedctx // ends when the gate is shut, and with it what passes given out since are good for
	void     context.CancelFunc                  // ends passes
	until    time.Time                           // nothing probes before
	probe    *pass                               // under way
	patience time.Time                           // when the next one may begin although probe is under way; zero until that is sent
	probes   int                                 // since the breaker opened, to tell whose turn it is
	fresh    int                                 // events that wait
	tried    int                                 // so do these, which failed before
	changed  signal

	reason  error               // why the account is paused; nil if it is not
	backoff time.Duration       // the last interval of probing after a 401
	refused int                 // answers that refused an event since the last good one
	row     map[string]struct{} // keys refused in a row, with no good answer between
}

// pass lets one attempt through the gate.
type pass struct {
	good context.Context //nolint:containedctx // ends when the gate is shut
}

func newGate(b BreakerConfig) *gate {
	g := &gate{row: map[string]struct{}{}}
	g.passes, g.void = context.WithCancel(context.Background())
	g.breaker = g.newBreaker(b)
	return g
}

// enter waits until an attempt may begin; leave must end it. One that is not queued does not wait for the breaker: the
// error is ErrCircuitOpen. tried: the event failed before.
func (g *gate) enter(ctx context.Context, queued, tried bool) (*pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		err, p := ctx.Err(), &pass{g.passes}
		switch {
		case err != nil && g.reason != nil:
			return nil, fmt.Errorf("%w (%w): %w", ErrPaused, g.reason, err)
		case err != nil:
			return nil, err
		case g.reason == nil && g.breaker.State() == gobreaker.StateClosed:
			return p, nil
		}
		wait := g.untilProbe(tried)
		switch {
		case wait <= 0:
			g.probe, g.patience = p, time.Time{}
			g.probes++
			return p, nil
		case !queued && g.reason == nil:
			return nil, ErrCircuitOpen
		}
		g.await(ctx, wait, tried)
	}
}

// untilProbe is how long an event must wait before it may ask again whether it is the next probe; 0: it is. In a pause those
// that failed before come after all others. At the breaker they have the first turns, and then fewer and fewer: where all
// first attempts fail, as through a faulty proxy, only they can succeed.
func (g *gate) untilProbe(tried bool) time.Duration {
	others, turn := g.tried, g.reason == nil && g.probes&(g.probes-1) == 0 // 0, 1, 2, 4, 8 …
	if tried {
		others, turn = g.fresh, !turn
	}
	switch {
	case time.Until(g.until) > 0:
		return time.Until(g.until)
	case g.probe != nil && g.patience.IsZero():
		return probePatience
	case g.probe != nil && time.Until(g.patience) > 0:
		return time.Until(g.patience)
	case others > 0 && turn:
		return probePatience
	default:
		return 0
	}
}

// await waits for d or for a change of the gate. Called with mu held, which it gives up meanwhile.
func (g *gate) await(ctx context.Context, d time.Duration, tried bool) {
	waiting := &g.fresh
	if tried {
		waiting = &g.tried
	}
	*waiting++
	_ = g.changed.wait(ctx, &g.mu, d) // enter looks at ctx
	*waiting--
}

// begin is called when the attempt of p goes on. It reports whether the gate was not shut since enter.
func (g *gate) begin(p *pass) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probe == p {
		g.patience = time.Now().Add(probePatience)
	}
	return p.good.Err() == nil
}

// leave ends the attempt of p, whatever came of it.
func (g *gate) leave(p *pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probe == p {
		g.probe = nil
		g.changed.broadcast()
	}
}

// answered says what v means for the account and for the breaker. It returns how long the account pauses by it; 0 if it
// does not. Answers to attempts that began before the gate was shut say nothing new.
func (g *gate) answered(p *pass, m Message, s standing, v *verdict) (pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.good.Err() == nil {
		g.count(s, v)
		pause = g.judge(m, s, v)
	}
	v.paused = g.reason != nil && v.class >= classSuspected
	v.held = v.paused || v.class > classSuspected
	return pause
}

// shut lets nothing through before d is over, and then only probes. Called with mu held.
func (g *gate) shut(d time.Duration) {
	g.void()
	g.passes, g.void = context.WithCancel(context.Background())
	g.until, g.probe = time.Now().Add(d), nil
	g.changed.broadcast()
}

// shutUntil waits until the gate is shut beyond deadline, so that nothing is sent before. false: ctx has ended.
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

// state is what Stats says of the gate; until is zero if the account is not paused.
func (g *gate) state() (breaker string, until time.Time, reason error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason != nil {
		until = g.until
	}
	return g.breaker.State().String(), until, g.reason
}

// signal wakes all who wait for it. Its methods are called with the lock of what it belongs to.
type signal struct{ ch chan struct{} }

// wait waits for d, for a broadcast or for the end of ctx, which alone is an error. It gives up mu meanwhile.
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

// sleepOr waits for d, for changed or for the end of ctx, which alone is an error.
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
