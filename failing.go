package fprom

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	firstAloneWait = 450 * time.Second // of an event that fails alone; it doubles, an hour in all, then it is an hour each time
	setAsideAfter  = time.Hour         // of failing alone: the later events of the customer pass
	giveUpAfter    = 24 * time.Hour    // of failing alone: a dead letter
	maxFailing     = 10_000            // events remembered; beyond it the others are treated as if they had not failed
)

// Before an event counts as failing alone, it must be so unlikely that it failed so often by chance, and others must have
// succeeded beside it for so long: a short fault makes quick retries fail together.
const (
	chance      = 1e-4
	provedAfter = 2 * time.Second
)

// failing remembers the queued events whose last attempt failed or was refused. They have half of the workers at most. An
// event fails alone if others got good answers between its failures, and if it failed more often than the part of first
// attempts that fail explains: then neither FirstPromoter nor the account is at fault. Such an event backs off to an hour,
// and says nothing about the breaker. The memory is of this process: after a restart the hours are counted anew.
type failing struct {
	places      int // events that failed before which may be under way at once
	maxAttempts int // RetryConfig.MaxAttempts

	mu     sync.Mutex
	events map[string]*failure
	busy   int       // of the places
	good   uint64    // counts good answers
	rate   float64   // the part of first attempts that failed lately
	trial  time.Time // when an event behind a failing one was last tried without proof, see failed
}

type failure struct {
	since  time.Time     // the first failure
	last   time.Time     // the last one
	good   uint64        // failing.good then
	times  int           // failures since which others succeeded
	alone  time.Duration // in which others succeeded
	proved bool          // it fails alone
}

func newFailing(workers, maxAttempts int) *failing {
	return &failing{places: max(workers/2, 1), maxAttempts: maxAttempts, events: map[string]*failure{}}
}

var errOthersFirst = errors.New("it failed before, and others come first now")

// enter begins an attempt; leave must end it. If all places are taken the event is to come again after wait, so that
// some twenty ask in a second.
func (f *failing) enter(a *attempt) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.events[a.Key]
	if e == nil && a.Attempt > 1 { // it failed in another process, or before a restart
		e = f.first(a.Key)
	}
	switch {
	case e == nil:
		return 0
	case f.busy >= f.places:
		return time.Second + rand.N(min(time.Duration(len(f.events))*100*time.Millisecond, 5*time.Minute))
	}
	f.busy++
	a.failedBefore, a.othersSucceeded = true, e.good != f.good
	return 0
}

func (f *failing) leave(a *attempt) {
	if a.failedBefore {
		f.mu.Lock()
		f.busy--
		f.mu.Unlock()
	}
}

func (f *failing) succeeded(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.good++
	if f.events[key] == nil {
		f.rate -= f.rate / 16
	}
	delete(f.events, key)
}

// first notes the first failure of an event that is known here; nil if too many are. Called with mu held.
func (f *failing) first(key string) *failure {
	f.rate += (1 - f.rate) / 16
	if len(f.events) >= maxFailing { // those that do not come again have been delivered by another process
		maps.DeleteFunc(f.events, func(_ string, e *failure) bool { return time.Since(e.last) > 2*setAsideAfter })
	}
	if len(f.events) >= maxFailing {
		return nil
	}
	e := &failure{since: time.Now(), last: time.Now(), good: f.good}
	f.events[key] = e
	return e
}

// failed notes a failed attempt, and sets in v what follows from it.
func (f *failing) failed(a *attempt, v *verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.class == classTransient && f.maxAttempts > 0 && a.Attempt >= f.maxAttempts {
		f.giveUp(a, v, fmt.Sprintf("after %d attempts", a.Attempt))
		return
	}
	now := time.Now()
	e := f.events[a.Key]
	if e == nil {
		v.news = true
		f.first(a.Key)
		return
	}
	if e.good != f.good {
		e.times++
		e.alone += min(now.Sub(e.last), 2*setAsideAfter)
	}
	e.last, e.good = now, f.good
	switch {
	case e.proved && e.alone >= giveUpAfter:
		f.giveUp(a, v, "after it failed for a day while others were delivered")
		return
	case !e.proved && e.alone >= provedAfter && math.Pow(max(f.rate, 0.01), float64(e.times+1)) <= chance:
		e.proved, v.news = true, true
	}
	if v.alone = e.proved; e.proved {
		v.wait = max(v.wait, jitter(min(max(e.alone, firstAloneWait), time.Hour)))
		v.aside = e.alone >= setAsideAfter
	}
	// An event behind this one may be the only one that could succeed: now and then one of them is tried.
	if !v.aside && now.Sub(e.since) >= setAsideAfter && now.Sub(f.trial) >= setAsideAfter {
		f.trial, v.aside = now, true
	}
}

// giveUp makes the event a dead letter. Called with mu held.
func (f *failing) giveUp(a *attempt, v *verdict, why string) {
	delete(f.events, a.Key)
	v.class, v.err = classRejected, fmt.Errorf("%w (given up %s)", v.err, why)
}

// jitter is d and up to a tenth more, so that events that failed together do not come back together.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/10+1) }
