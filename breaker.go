package fprom

import (
	"time"

	"github.com/sony/gobreaker/v2"
)

// BreakerConfig says when the circuit breaker stops calling a FirstPromoter that fails. Failures are time-outs,
// connection errors, 5xx, 408, 421, 425, other 4xx without JSON, and a 200 that is not FirstPromoter's. These do
// not count: rejected and refused events, 429, 503 with Retry-After, attempts that the caller cancelled, and failures of an
// event that failed before, if others succeeded since. The zero value means the defaults.
type BreakerConfig struct {
	// Failures in a row open the breaker. Default 5.
	Failures int
	// OpenFor is how long it stays open before one attempt is made as a probe (half-open), and again after each probe that
	// fails. Default 1 s.
	OpenFor time.Duration
}

// newBreaker makes the breaker of g. gobreaker counts and keeps the state; the gate decides who probes and who waits.
func (g *gate) newBreaker(c BreakerConfig) *gobreaker.CircuitBreaker[struct{}] {
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     max(c.OpenFor-1, 1), // gobreaker becomes half-open only after this time, not exactly then
		ReadyToTrip: func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= c.Failures },
		OnStateChange: func(_ string, _, to gobreaker.State) { // with mu held
			if to == gobreaker.StateOpen {
				g.shut(c.OpenFor)
			}
		},
	})
}

// count tells the breaker about an answer. Called with mu held.
func (g *gate) count(a *attempt) {
	if a.class <= classAskAgain || a.class == classTransient && !g.failing.othersSucceeded(a) {
		_, _ = g.breaker.Execute(func() (struct{}, error) { return struct{}{}, a.err })
	}
}
