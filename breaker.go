package fprom

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerConfig says when the circuit breaker stops calling a FirstPromoter that fails. Failures are time-outs,
// connection errors, 5xx, 408, 425, and a 200 that is not FirstPromoter's. Rejected and refused events, 429 and attempts
// that the caller cancelled are neither success nor failure; so is a failure of an event that fails while others
// succeed. The zero value means the defaults.
type BreakerConfig struct {
	// Failures in a row open the breaker. Default 5.
	Failures int
	// OpenFor is how long it stays open before one attempt probes (half-open). Default 1 s.
	OpenFor time.Duration
}

func (c BreakerConfig) withDefaults() BreakerConfig {
	if c.Failures == 0 {
		c.Failures = 5
	}
	if c.OpenFor == 0 {
		c.OpenFor = time.Second
	}
	return c
}

func (c BreakerConfig) validate() error {
	switch {
	case c.Failures < 0 || c.Failures > 1<<31-1:
		return &ValidationError{"Config.Breaker.Failures", "is out of range"}
	case c.OpenFor < 0:
		return &ValidationError{"Config.Breaker.OpenFor", "is negative"}
	}
	return nil
}

var (
	errFailure  = errors.New("failure")
	errExcluded = errors.New("neither success nor failure")
)

// probePatience is how long others wait for a probe. Then the next one begins, so that an event that hangs cannot keep
// all others waiting until its time-out; the first still counts if it succeeds.
const probePatience = time.Second

// Every so many probes one is left for an event that failed before, if one comes within retriedPatience: where all first
// attempts fail, as through a faulty proxy, only they can succeed.
const (
	retriedTurn     = 2
	retriedPatience = 500 * time.Millisecond
)

// breaker adds waiting to gobreaker: whoever finds it open waits with the event in hand.
type breaker struct {
	cb *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu      sync.Mutex // never held while calling cb: cb calls OnStateChange with its own lock held
	opens   uint64     // how often it has opened
	until   time.Time  // while open: its end
	fresh   int        // events that wait in a worker's hand
	probe   *pass      // under way, and not given up for slow
	probes  int        // so far, to tell whose turn it is
	inHand  int        // how many events may wait in a worker's hand
	back    time.Time  // when the last event that was sent back may come again
	changed signal
}

func newBreaker(c BreakerConfig, inHand int) *breaker {
	b := &breaker{inHand: inHand}
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "firstpromoter",
		MaxRequests: 1,
		Timeout:     c.OpenFor,
		ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= c.Failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errExcluded) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if to == gobreaker.StateOpen {
				b.opens++
				b.until = time.Now().Add(c.OpenFor)
			}
			b.changed.broadcast()
		},
	})
	return b
}

// pass lets one attempt through the breaker. Its report must be called once; further calls do nothing.
type pass struct {
	b     *breaker
	opens uint64
	slow  *time.Timer // of a probe

	mu   sync.Mutex
	done func(error) // nil once it was reported
	late bool        // given up for slow
}

// valid reports whether the breaker has not opened since enter gave out p.
func (p *pass) valid() bool {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	return p.opens == p.b.opens
}

// take is the gobreaker's callback, the first time that it is asked for.
func (p *pass) take() func(error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := p.done
	p.done = nil
	return done
}

// report ends the attempt with nil, errFailure or errExcluded.
func (p *pass) report(err error) {
	if p.slow != nil {
		p.slow.Stop()
	}
	if done := p.take(); done != nil {
		done(err)
	} else if err == nil && p.wasLate() {
		p.b.closeByLateSuccess()
	}
	p.b.wake(p)
}

func (p *pass) wasLate() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := p.late
	p.late = false
	return late
}

// giveUp lets the next probe begin while p's is still under way.
func (p *pass) giveUp() {
	if done := p.take(); done != nil {
		p.mu.Lock()
		p.late = true
		p.mu.Unlock()
		done(errExcluded)
		p.b.wake(p)
	}
}

// closeByLateSuccess counts a success of a probe that was given up for slow, in place of the one that is under way.
func (b *breaker) closeByLateSuccess() {
	b.mu.Lock()
	probe := b.probe
	b.mu.Unlock()
	if probe != nil {
		probe.giveUp()
	}
	if done, err := b.cb.Allow(); err == nil {
		done(nil)
	}
}

func (b *breaker) wake(p *pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probe == p {
		b.probe = nil
	}
	b.changed.broadcast()
}

// enter asks for leave to make an attempt, whose end must be reported. While the breaker is open it waits, or answers
// ErrCircuitOpen if wait is false. An event that failed before (tried) does not wait with the event in hand: the error is
// a *notNowError. It probes if no other event waits, or at its turn.
func (b *breaker) enter(ctx context.Context, wait, tried bool) (*pass, error) {
	for {
		b.mu.Lock()
		changed, opens, others := b.changed.watch(), b.opens, b.fresh // before Allow: if it opens in between, the pass is not valid
		forTried, since := b.probes%retriedTurn == retriedTurn-1, time.Since(b.until)
		b.mu.Unlock()
		closed := b.cb.State() == gobreaker.StateClosed
		switch {
		case closed:
		case tried && others > 0 && !forTried:
			return nil, &notNowError{time.Second}
		case !tried && wait && forTried && since >= 0 && since < retriedPatience:
			if err := b.await(ctx, retriedPatience-since, changed); err != nil {
				return nil, err
			}
			continue
		}
		done, err := b.cb.Allow()
		switch {
		case err == nil:
			return b.newPass(done, opens, !closed), nil
		case !wait:
			return nil, ErrCircuitOpen
		}
		d := probePatience // half-open: until the probe reports
		if errors.Is(err, gobreaker.ErrOpenState) {
			b.mu.Lock()
			d = max(time.Until(b.until), 0) + time.Millisecond // gobreaker moves on after its time, not at it
			b.mu.Unlock()
		}
		if tried {
			return nil, &notNowError{d}
		}
		if others >= b.inHand {
			return nil, &notNowError{b.sendBack(d)}
		}
		if err := b.await(ctx, d, changed); err != nil {
			return nil, err
		}
	}
}

// sendBack is how long an event waits in the queue that finds the breaker open and others in the workers' hands: its
// worker is for one that failed before. About a hundred come back in a second.
func (b *breaker) sendBack(d time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.back.Before(now.Add(d)) {
		b.back = now.Add(d)
	}
	b.back = b.back.Add(10 * time.Millisecond)
	return b.back.Sub(now)
}

func (b *breaker) newPass(done func(error), opens uint64, probe bool) *pass {
	p := &pass{b: b, done: done, opens: opens}
	if probe {
		b.mu.Lock()
		b.probe = p
		b.probes++
		b.mu.Unlock()
	}
	return p
}

// begin is called when the attempt of p leaves: a probe must answer soon, or another one is made.
func (p *pass) begin() {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if p.b.probe == p {
		p.slow = time.AfterFunc(probePatience, p.giveUp)
	}
}

func (b *breaker) await(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	b.mu.Lock()
	b.fresh++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.fresh--
		b.mu.Unlock()
	}()
	return sleepOr(ctx, d, changed)
}

func (b *breaker) state() string { return b.cb.State().String() }
