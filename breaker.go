package fprom

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
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
	cb    *gobreaker.TwoStepCircuitBreaker[struct{}]
	opens atomic.Uint64 // how often it has opened
	log   *slog.Logger

	mu      sync.Mutex    // never held while calling cb: cb calls onChange with its own lock held
	until   time.Time     // while open: its end
	changed chan struct{} // closed at the next change; nil if nobody waits
	unsaid  []slog.Attr   // changes of state not yet logged
}

func newBreaker(c BreakerConfig, log *slog.Logger) *breaker {
	b := &breaker{log: log}
	b.cb = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        "firstpromoter",
		MaxRequests: 1,
		Timeout:     c.OpenFor,
		ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= c.Failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errExcluded) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.opens.Add(1)
				b.setUntil(time.Now().Add(c.OpenFor))
			}
			b.note(slog.String("from", from.String()), slog.String("to", to.String()))
			b.broadcast()
		},
	})
	return b
}

// pass lets one attempt through the breaker.
type pass struct {
	b     *breaker
	done  func(error)
	opens uint64
}

// valid reports whether the breaker has not opened since enter gave out p.
func (p pass) valid() bool { return p.opens == p.b.opens.Load() }

// report ends the attempt with nil, errFailure or errExcluded.
func (p pass) report(ctx context.Context, err error) {
	p.done(err)
	p.b.broadcast()
	p.b.say(ctx)
}

// enter asks for leave to make an attempt, whose end must be reported. While the breaker is open it waits, or answers
// ErrCircuitOpen if wait is false.
func (b *breaker) enter(ctx context.Context, wait bool) (pass, error) {
	watching := false // only who has to wait: the others do not pay for it
	for {
		var changed chan struct{}
		if watching {
			changed = b.watch()
		}
		opens := b.opens.Load() // before Allow: if it opens in between, the pass is not valid
		done, err := b.cb.Allow()
		b.say(ctx)
		switch {
		case err == nil:
			return pass{b, done, opens}, nil
		case !wait:
			return pass{}, ErrCircuitOpen
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
			return pass{}, err
		}
	}
}

func (b *breaker) state() string {
	defer b.say(context.Background())
	return b.cb.State().String()
}

func (b *breaker) note(change ...slog.Attr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsaid = append(b.unsaid, change...)
}

// say logs the changes of state, outside of all locks: a Logger may be slow, or ask for Stats.
func (b *breaker) say(ctx context.Context) {
	b.mu.Lock()
	unsaid := b.unsaid
	b.unsaid = nil
	b.mu.Unlock()
	for ; len(unsaid) > 1; unsaid = unsaid[2:] {
		b.log.LogAttrs(ctx, slog.LevelWarn, "fprom: circuit breaker", unsaid[:2]...)
	}
}

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
