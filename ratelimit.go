package fprom

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of what Retry-After may ask for, and what is waited without it.
const (
	minRetryAfter     = time.Second
	maxRetryAfter     = 15 * time.Minute
	defaultRetryAfter = time.Minute
)

// window is FirstPromoter's minute and what two requests can be apart less at its door than here.
const window = 62 * time.Second

// pacer lets attempts through under the limit, in the order they came. Only the first in line reserves a token: a
// rate.Limiter cannot take back a reservation that others have followed, so callers that give up would cost those after
// them their tokens.
type pacer struct {
	limit *rate.Limiter
	turn  chan struct{} // taken by the first in line
}

// newPacer returns a token bucket that starts empty, as after a restart nobody knows what the process before sent, and
// from which no 60 seconds can take more than perMinute: burst and what flows in make perMinute together.
func newPacer(perMinute, burst int) *pacer {
	l := rate.NewLimiter(rate.Limit(float64(perMinute-burst)/window.Seconds()), burst)
	l.AllowN(time.Now(), burst)
	return &pacer{limit: l, turn: make(chan struct{}, 1)}
}

// wait waits for a token. It does not use rate's Wait, which fails at once where ctx has a deadline that is too near.
func (p *pacer) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(p.turn) == 0 && p.limit.Allow() { // nobody waits
		return nil
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	r := p.limit.Reserve()
	if err := sleep(ctx, r.Delay()); err != nil {
		r.Cancel()
		return err
	}
	return nil
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// pause stops all attempts for a while after an answer that concerns the account, not the event. When the time is up
// one attempt at a time may probe, until one of them gets an answer that proves that the account works again.
type pause struct {
	mu       sync.Mutex
	on       bool
	until    time.Time
	reason   error
	interval time.Duration // of probing; 0 outside of it
	probing  bool          // a probe is under way
	epoch    uint64        // counts pauses, to tell answers to attempts that began before the last one
	changed  chan struct{}
}

// ticket lets one attempt pass.
type ticket struct {
	epoch uint64
	probe bool
}

// enter waits until an attempt may begin.
func (p *pause) enter(ctx context.Context) (ticket, error) {
	for {
		if err := ctx.Err(); err != nil {
			return ticket{}, err
		}
		p.mu.Lock()
		wait := time.Until(p.until)
		if !p.on || wait <= 0 && !p.probing {
			t := ticket{p.epoch, p.on}
			p.probing = p.on
			p.mu.Unlock()
			return t, nil
		}
		if wait <= 0 {
			wait = time.Hour // for the probe's end
		}
		changed, reason := p.watch(), p.reason
		p.mu.Unlock()
		if err := sleepOr(ctx, wait, changed); err != nil {
			return ticket{}, fmt.Errorf("%w (%w): %w", ErrPaused, reason, err)
		}
	}
}

// valid reports whether no pause began since enter gave out t.
func (p *pause) valid(t ticket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return t.epoch == p.epoch
}

// leave ends the attempt of t without a verdict on the account.
func (p *pause) leave(t ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.probe && t.epoch == p.epoch {
		p.probing = false
		p.broadcast()
	}
}

// clear ends the attempt of t with an answer that proves that the account works.
func (p *pause) clear(t ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.probe && t.epoch == p.epoch {
		p.on, p.probing, p.interval, p.reason = false, false, 0, nil
		p.broadcast()
	}
}

// begin ends the attempt of t with an answer that pauses the account: for d, or if d is 0 for an interval that doubles
// from first. It returns how long from now; 0 if another answer has begun the pause already.
func (p *pause) begin(t ticket, d, first time.Duration, reason error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.epoch != p.epoch {
		return 0
	}
	if d == 0 {
		p.interval = min(max(2*p.interval, first), max(maxProbeInterval, first))
		d = p.interval
	}
	p.on, p.probing, p.until, p.reason = true, false, time.Now().Add(d), reason
	p.epoch++
	p.broadcast()
	return d
}

// state returns the end of the pause and why; zero if there is none.
func (p *pause) state() (time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.on {
		return time.Time{}, nil
	}
	return p.until, p.reason
}

// watch returns a channel that is closed at the next change. Called with mu held.
func (p *pause) watch() chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

func (p *pause) broadcast() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// sleepOr waits for d, for changed or for the end of ctx, which alone is an error.
func sleepOr(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
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
