package fprom

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// refusalsToPause is how many different events must be refused in a row before the account is paused: fewer can be the
	// events' own fault.
	refusalsToPause = 3
	// quickProbes is how many events probe a second apart. If all were refused it is the account, and probes slow down.
	quickProbes      = 250
	maxProbeInterval = time.Minute
)

// pause stops all attempts for a while after answers that concern the account, not an event. When the time is up one
// attempt at a time may probe, until one of them gets an answer that proves that the account works.
type pause struct {
	first time.Duration // the first interval of probing (RetryConfig.ProbeInterval)

	mu        sync.Mutex
	on        bool
	suspected bool // refused events began it: a good answer to any event ends it
	until     time.Time
	reason    error
	interval  time.Duration       // of probing; 0 outside of it
	probes    int                 // refused in this pause
	probing   bool                // a probe is under way
	fresh     int                 // events that wait in a worker's hand
	row       map[string]struct{} // keys refused in a row, with no good answer between
	epoch     uint64              // counts pauses, to tell answers to attempts that began before the last one
	changed   signal
}

// ticket lets one attempt pass.
type ticket struct {
	epoch uint64
	probe bool
}

// enter waits until an attempt may begin. One with an event that failed before (tried) does not wait with the event in
// hand, so that it keeps no worker from the others: the error is a *notNowError. It probes only if no other event waits.
func (p *pause) enter(ctx context.Context, tried bool) (ticket, error) {
	for {
		if err := ctx.Err(); err != nil {
			return ticket{}, err
		}
		p.mu.Lock()
		wait := time.Until(p.until)
		if !p.on || wait <= 0 && !p.probing && (!tried || p.fresh == 0) {
			t := ticket{p.epoch, p.on}
			p.probing = p.on
			p.mu.Unlock()
			return t, nil
		}
		if tried {
			p.mu.Unlock()
			return ticket{}, &notNowError{max(wait, time.Second)}
		}
		if wait <= 0 {
			wait = time.Hour // for the probe's end
		}
		changed, reason := p.changed.watch(), p.reason
		p.fresh++
		p.mu.Unlock()
		err := sleepOr(ctx, wait, changed)
		p.mu.Lock()
		p.fresh--
		p.mu.Unlock()
		if err != nil {
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
		p.changed.broadcast()
	}
}

// good ends the attempt of t with an answer that proves that the account works.
func (p *pause) good(t ticket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.row)
	if p.on && (p.suspected || t.probe && t.epoch == p.epoch) {
		p.on, p.probing, p.interval, p.reason = false, false, 0, nil
		p.changed.broadcast()
	}
}

// throttle ends the attempt of t with an answer that asks for a pause of d. It returns how long the pause is; 0 if
// another answer has begun it already.
func (p *pause) throttle(t ticket, d time.Duration, reason error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.epoch != p.epoch {
		return 0
	}
	p.suspected = false
	return p.begin(d, reason)
}

// unauthorized ends the attempt of t with a 401: the account pauses at once, and probes at an interval that doubles.
func (p *pause) unauthorized(t ticket, reason error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.epoch != p.epoch {
		return 0
	}
	p.interval = min(max(2*p.interval, p.first), max(maxProbeInterval, p.first))
	p.suspected = false
	return p.begin(p.interval, reason)
}

// refuse ends the attempt of t with an answer that may be about the account or about the event with this key alone. It
// returns how long the account pauses; 0 if it does not, or if another answer has begun the pause already.
func (p *pause) refuse(t ticket, key string, tried bool, reason error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !tried { // an event that was refused before says nothing new
		p.row[key] = struct{}{}
	}
	if t.epoch != p.epoch {
		return 0
	}
	switch {
	case t.probe:
		p.probes++
		if p.interval = p.first; p.probes > quickProbes {
			p.interval = max(maxProbeInterval, p.first)
		}
		return p.begin(p.interval, p.reason)
	case len(p.row) >= refusalsToPause:
		clear(p.row)
		p.suspected, p.probes = true, 0
		return p.begin(p.first, reason)
	}
	return 0
}

// begin begins or prolongs the pause. Called with mu held.
func (p *pause) begin(d time.Duration, reason error) time.Duration {
	p.on, p.probing, p.until, p.reason = true, false, time.Now().Add(d), reason
	p.epoch++
	p.changed.broadcast()
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

// notNowError is the error of an attempt that was not made, so that others come first.
type notNowError struct{ wait time.Duration }

func (*notNowError) Error() string { return "it failed before, and others come first now" }

// signal wakes all who watch. Its methods are called with the lock of what it belongs to.
type signal struct{ ch chan struct{} }

// watch returns a channel that is closed by the next broadcast.
func (s *signal) watch() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) broadcast() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
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
