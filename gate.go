package fprom

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

// probeTimeout is how long a probe keeps the next one waiting. An event that hangs must not stop all others until its own
// time-out. Its late answer still counts.
const probeTimeout = time.Second

// gate is the line in which attempts wait until they may be sent. One after the other takes a token of the rate limit
// (ratelimit.go). While the circuit breaker is open (breaker.go) or the account is paused (pause.go) the gate is shut; when
// that time is over, one event at a time is sent as a probe, until an answer opens the gate again.
type gate struct {
	mu      sync.Mutex
	limit   *rate.Limiter
	line    []*attempt // in the order they came
	failing failing
	breaker *gobreaker.CircuitBreaker[struct{}] // only called with mu held
	open    context.Context                     //nolint:containedctx // of all attempts that enter; ends when the gate shuts
	endOpen context.CancelFunc
	until   time.Time // no probe begins before
	probes  int       // since the last good answer

	reason     error // why the account is paused; nil if it is not
	refused    int   // answers that refused an event since the last good one
	refusedNew int   // of these at the first attempt of an event
}

func newGate(c Config) *gate {
	g := &gate{limit: newLimit(c.RequestsPerMinute, c.Burst)}
	g.open, g.endOpen = context.WithCancel(context.Background())
	g.breaker = g.newBreaker(c.Breaker)
	return g
}

// enter waits in the line until a may be sent. An attempt of Track does not wait for the breaker: it gets ErrCircuitOpen.
func (g *gate) enter(ctx context.Context, a *attempt) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.woken = make(chan struct{}, 1)
	g.line = append(g.line, a)
	defer func() {
		g.line = slices.DeleteFunc(g.line, func(b *attempt) bool { return a == b })
		g.wake()
	}()
	for {
		shut, wait := g.isShut(), max(time.Until(g.until), 0) // judge sets until to now when it opens the gate
		switch {
		case ctx.Err() != nil && g.reason != nil:
			return fmt.Errorf("%w (%w): %w", ErrPaused, g.reason, ctx.Err())
		case ctx.Err() != nil:
			return ctx.Err()
		case wait > 0 && g.reason == nil && !a.queued:
			return ErrCircuitOpen
		case a != g.next():
			wait = time.Hour // it is woken before
		case wait == 0:
			wait = g.takeToken(a)
		}
		if wait == 0 {
			a.open = g.open
			if shut {
				g.until = time.Now().Add(probeTimeout)
				g.probes++
			}
			return nil
		}
		g.mu.Unlock()
		_ = sleepOr(ctx, wait, a.woken)
		g.mu.Lock()
	}
}

func (g *gate) isShut() bool { return g.reason != nil || g.breaker.State() != gobreaker.StateClosed }

// next returns the attempt whose turn it is: the first that came, and bulk events last. The next probe is the last that came,
// since the first ones may all be at fault. Bulk events, and events that failed before, are probes only after the others. But
// while the breaker is open, they get the first of every eight probes: if all first attempts fail, only they can succeed. Every
// second probe is the queue's, since a caller of Track may not wait for the answer.
func (g *gate) next() *attempt {
	if !g.isShut() {
		i := slices.IndexFunc(g.line, func(a *attempt) bool { return !a.Bulk })
		return g.line[max(i, 0)]
	}
	lastFirst := g.reason == nil && g.probes%8 == 0
	for _, a := range slices.Backward(g.line) {
		if (a.Bulk || a.tried || !a.queued && g.probes%2 == 1) == lastFirst {
			return a
		}
	}
	return g.line[0]
}

// wake lets the next attempt look at the gate again. If the gate is shut, all look, since those of Track may have to end.
func (g *gate) wake() {
	woken := g.line
	if len(g.line) > 0 && !g.isShut() {
		woken = []*attempt{g.next()}
	}
	for _, a := range woken {
		select {
		case a.woken <- struct{}{}:
		default: // it was woken before and has not looked yet
		}
	}
}

// answered draws the conclusions from an answer, and completes the verdict with them. It returns how long the account pauses
// because of it; 0 if it does not. The answer to an attempt that began before the gate shut says nothing new about the account.
func (g *gate) answered(a *attempt) (pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer g.wake()
	if g.failing.othersSucceeded(a) && (a.class == classUnauthorized || a.class == classBusy) {
		a.class = classSuspected // the fault is this event's alone
	}
	if a.open.Err() == nil {
		g.count(a)
		pause = g.judge(a)
	}
	a.paused = g.reason != nil && a.class >= classSuspected
	switch {
	case a.good():
		g.failing.succeeded(a)
	case a.queued && a.class < classThrottled:
		g.failing.failed(a)
	}
	return pause
}

// shut lets no attempt in for d, and then only probes. Called with mu held; answered wakes the line.
func (g *gate) shut(d time.Duration) {
	g.endOpen()
	g.open, g.endOpen = context.WithCancel(context.Background())
	g.until = time.Now().Add(d)
}

// shutUntil returns the time before which nothing is sent, and a context that ends when this time changes.
func (g *gate) shutUntil() (time.Time, context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until, g.open
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

// sleepOr waits for d or for changed. The error is that of ctx.
func sleepOr(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	case <-changed:
	}
	return ctx.Err()
}
