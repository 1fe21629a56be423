package fprom

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerConfig says when the circuit breaker stops calling a FirstPromoter that fails. Failures are time-outs,
// connection errors, 5xx, 408, 425, and answers that are not FirstPromoter's. Rejected events, 401, 403, 429 and
// attempts that the caller cancelled are neither success nor failure. The zero value means the defaults.
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

// breaker adds waiting to gobreaker: whoever finds it open waits with the event in hand.
type breaker struct {
	cb *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu      sync.Mutex    // never held while calling cb: cb calls onChange with its own lock held
	until   time.Time     // while open: its end
	changed chan struct{} // closed at the next change; nil if nobody waits
}

func newBreaker(c BreakerConfig, log *slog.Logger) *breaker {
	b := &breaker{}
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "firstpromoter",
		MaxRequests: 1,
		Timeout:     c.OpenFor,
		ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= c.Failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errExcluded) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.setUntil(time.Now().Add(c.OpenFor))
			}
			b.broadcast()
			log.Warn("fprom: circuit breaker", "from", from.String(), "to", to.String())
		},
	})
	return b
}

// enter asks for leave to make an attempt, whose end must be reported with nil, errFailure or errExcluded. While the
// breaker is open it waits, or answers ErrCircuitOpen if wait is false.
func (b *breaker) enter(ctx context.Context, wait bool) (report func(error), err error) {
	watching := false // only who has to wait: the others do not pay for it
	for {
		var changed chan struct{}
		if watching {
			changed = b.watch()
		}
		done, err := b.cb.Allow()
		switch {
		case err == nil:
			return func(err error) { done(err); b.broadcast() }, nil
		case !wait:
			return nil, ErrCircuitOpen
		case changed == nil: // nobody would have told: watch first, then look again
			watching = true
			continue
		}
		d := time.Hour // half-open: until the probe reports
		if errors.Is(err, gobreaker.ErrOpenState) {
			b.mu.Lock()
			d = time.Until(b.until) + time.Millisecond // gobreaker moves on after its time, not at it
			b.mu.Unlock()
		}
		if err := sleepOr(ctx, max(d, time.Millisecond), changed); err != nil {
			return nil, err
		}
	}
}

func (b *breaker) state() string { return b.cb.State().String() }

func (b *breaker) setUntil(t time.Time) {
	b.mu.Lock()
	b.until = t
	b.mu.Unlock()
}

func (b *breaker) watch() chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

func (b *breaker) broadcast() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}
