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
	firstAloneWait = 450 * time.Second // the first wait of an event that fails alone; it doubles, up to an hour
	setAsideAfter  = time.Hour         // after failing alone for so long, the later events of the customer pass
	giveUpAfter    = 24 * time.Hour    // after failing alone for so long, the event is a dead letter
	maxFailing     = 10_000            // events remembered; further ones are treated as if they had not failed
)

// An event counts as failing alone if the probability that it failed so often by chance is at most maxChance, and if others
// succeeded beside it for minAlone: in a short fault, quick retries fail together.
const (
	maxChance = 1e-4
	minAlone  = 2 * time.Second
)

// failing remembers the queued events whose last attempt failed or was refused. They take at most half of the workers.
//
// An event fails alone if others got good answers between its failures, and if it failed more often than the failures of
// first attempts explain: then neither FirstPromoter nor the account is at fault. Such an event is sent less and less
// often, down to once an hour, and does not count for the breaker. After a restart the hours are counted anew.
type failing struct {
	maxBusy     int // events that failed before and are under way at once
	maxAttempts int // RetryConfig.MaxAttempts

	mu          sync.Mutex
	events      map[string]*failure
	busy        int
	goodAnswers uint64
	failureRate float64   // the share of first attempts that failed lately
	lastTrial   time.Time // when an event was last set aside although it does not fail alone, see failed
}

type failure struct {
	first, last time.Time     // failure
	goodAnswers uint64        // failing.goodAnswers at the last failure
	times       int           // how often it failed again although others succeeded meanwhile
	aloneFor    time.Duration // how long it has failed while others succeeded
	alone       bool          // it fails alone
}

func newFailing(workers, maxAttempts int) *failing {
	return &failing{maxBusy: max(workers/2, 1), maxAttempts: maxAttempts, events: map[string]*failure{}}
}

var errOthersFirst = errors.New("the event failed before, and other events come first")

// enter begins an attempt. It must end with leave. If too many failed events are under way, the attempt is not made, and
// the event must come again after wait, which is random, so that about twenty come in a second.
func (f *failing) enter(a *attempt) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.events[a.Key]
	if e == nil && a.Attempt > 1 { // it failed in another process, or before a restart
		e = f.firstFailure(a.Key)
	}
	switch {
	case e == nil:
		return 0
	case f.busy >= f.maxBusy:
		return time.Second + rand.N(min(time.Duration(len(f.events))*100*time.Millisecond, 5*time.Minute))
	}
	f.busy++
	a.failedBefore, a.othersSucceeded = true, e.goodAnswers != f.goodAnswers
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
	f.goodAnswers++
	if f.events[key] == nil {
		f.failureRate -= f.failureRate / 16
	}
	delete(f.events, key)
}

// firstFailure notes the first failure that this process knows of an event. It returns nil if too many events fail. Called
// with mu held.
func (f *failing) firstFailure(key string) *failure {
	f.failureRate += (1 - f.failureRate) / 16
	if len(f.events) >= maxFailing { // forget events that did not come again: another process has delivered them
		maps.DeleteFunc(f.events, func(_ string, e *failure) bool { return time.Since(e.last) > 2*setAsideAfter })
	}
	if len(f.events) >= maxFailing {
		return nil
	}
	e := &failure{first: time.Now(), last: time.Now(), goodAnswers: f.goodAnswers}
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
		f.firstFailure(a.Key)
		return
	}
	if e.goodAnswers != f.goodAnswers {
		e.times++
		e.aloneFor += min(now.Sub(e.last), 2*setAsideAfter)
	}
	e.last, e.goodAnswers = now, f.goodAnswers
	switch {
	case e.alone && e.aloneFor >= giveUpAfter:
		f.giveUp(a, v, "after it failed for a day while others were delivered")
		return
	case !e.alone && e.aloneFor >= minAlone && math.Pow(max(f.failureRate, 0.01), float64(e.times+1)) <= maxChance:
		e.alone, v.news = true, true
	}
	if v.alone = e.alone; e.alone {
		v.wait = max(v.wait, jitter(min(max(e.aloneFor, firstAloneWait), time.Hour)))
		v.aside = e.aloneFor >= setAsideAfter
	}
	// Where nothing succeeds, perhaps only a later event of a customer can: once an hour one customer's events may pass.
	if !v.aside && now.Sub(e.first) >= setAsideAfter && now.Sub(f.lastTrial) >= setAsideAfter {
		f.lastTrial, v.aside = now, true
	}
}

// giveUp makes the event a dead letter. Called with mu held.
func (f *failing) giveUp(a *attempt, v *verdict, why string) {
	delete(f.events, a.Key)
	v.class, v.err = classRejected, fmt.Errorf("%w (given up %s)", v.err, why)
}

// jitter returns d and up to a tenth more, so that events that failed together do not come back together.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/10+1) }
