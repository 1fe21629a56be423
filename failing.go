package fprom

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	setAsideAfter = time.Hour      // of failing alone: the later events of the customer pass
	giveUpAfter   = 24 * time.Hour // of failing alone: a dead letter
	maxFailing    = 10_000         // events remembered; beyond it the others are treated as if they had not failed
)

// chance is how unlikely it must be that an event failed so often by chance, before it counts as failing alone.
const chance = 1e-4

// aloneWaits is how long an event that fails alone waits before its next attempt: an hour in all, then an hour each time.
var aloneWaits = []time.Duration{7 * time.Minute, 8 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour}

// failing remembers the queued events whose last attempt failed or was refused. An event fails alone if others got good
// answers between its failures, and if it failed more often than the part of first attempts that fail explains: then
// neither FirstPromoter nor the account is at fault. Such an event backs off to an hour, has a part of the workers only,
// and says nothing about the breaker. The memory is of this process: after a restart the hours are counted anew.
type failing struct {
	suspects int // events that failed, while others succeeded since, which may be under way at once

	mu     sync.Mutex
	events map[string]*failure
	good   uint64    // counts good answers
	rate   float64   // the part of first attempts that failed lately
	busy   int       // suspects under way
	trial  time.Time // when an event behind a failing one was last tried without proof, see failed
}

type failure struct {
	since time.Time     // the first failure
	last  time.Time     // the last one
	good  uint64        // failing.good then
	times int           // failures since which others succeeded
	waits int           // aloneWaits used
	alone time.Duration // in which others succeeded
}

func newFailing(workers int) *failing {
	return &failing{suspects: max(workers/2, 1), events: map[string]*failure{}}
}

// standing is what is known of an event before an attempt.
type standing struct {
	tried   bool // its last attempt failed
	suspect bool // and others got good answers since
}

// enter begins an attempt; leave must end it. The error is a *notNowError if suspects have all the workers they may have.
func (f *failing) enter(key string) (standing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.events[key]
	switch {
	case e == nil:
		return standing{}, nil
	case e.good == f.good:
		return standing{tried: true}, nil
	case f.busy >= f.suspects:
		return standing{}, &notNowError{time.Second}
	}
	f.busy++
	return standing{true, true}, nil
}

func (f *failing) leave(s standing) {
	if s.suspect {
		f.mu.Lock()
		f.busy--
		f.mu.Unlock()
	}
}

// succeeded notes a good answer to the event with this key.
func (f *failing) succeeded(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.good++
	if f.events[key] == nil {
		f.rate -= f.rate / 16
	}
	delete(f.events, key)
}

// remedy is what follows from a failure.
type remedy struct {
	first  bool          // the first failure, or the first one alone
	alone  bool          // it fails alone
	wait   time.Duration // before the next attempt; 0: as for any failure
	aside  bool          // the later events of the customer may pass
	giveUp bool
}

// failed notes a failure of the event with this key.
func (f *failing) failed(key string) remedy {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	e := f.events[key]
	if e == nil {
		f.rate += (1 - f.rate) / 16
		if len(f.events) < maxFailing {
			f.events[key] = &failure{since: now, last: now, good: f.good}
		}
		return remedy{first: true}
	}
	r := remedy{}
	if e.good != f.good {
		e.times++
		e.alone += min(now.Sub(e.last), 2*setAsideAfter)
	}
	e.last, e.good = now, f.good
	if r.giveUp = e.alone >= giveUpAfter; r.giveUp {
		delete(f.events, key)
		return r
	}
	if r.alone = e.times > 0 && math.Pow(max(f.rate, 0.01), float64(e.times+1)) <= chance; r.alone {
		r.first = e.waits == 0
		r.wait = jitter(aloneWaits[min(e.waits, len(aloneWaits)-1)])
		e.waits++
		r.aside = e.alone >= setAsideAfter
	}
	// An event behind this one may be the only one that could succeed: now and then one of them is tried.
	if !r.aside && now.Sub(e.since) >= setAsideAfter && now.Sub(f.trial) >= setAsideAfter {
		f.trial, r.aside = now, true
	}
	return r
}

// spread is a time that grows with the number of events that wait for the same thing, so that about ten ask in a second.
func (f *failing) spread() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return rand.N(min(time.Duration(len(f.events)+1)*100*time.Millisecond, 5*time.Minute))
}

// jitter is d and up to a tenth more, so that events that failed together do not come back together.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/10+1) }
