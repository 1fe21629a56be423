package fprom

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/patrickmn/go-cache"
	"golang.org/x/time/rate"
)

const (
	firstAloneWait = 450 * time.Second // the first wait of an event that fails alone; it doubles, up to an hour
	setAsideAfter  = time.Hour         // after failing alone for so long, the later events of the customer pass
	giveUpAfter    = 24 * time.Hour    // after failing alone for so long, the event is a dead letter
	forgetAfter    = giveUpAfter       // without an attempt: another process has delivered the event
	countAtMost    = 2 * time.Hour     // between two attempts: a longer time was a pause or an outage, in which nothing succeeded
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
//
// It is a part of the gate, whose mu is held in all its methods.
type failing struct {
	events      *cache.Cache // *failure by key
	busy        int          // events that failed before and are under way
	maxBusy     int
	turnedAway  *rate.Limiter // about twenty of them come again in a second
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

func newFailing(workers int) *failing {
	return &failing{maxBusy: max(workers/2, 1), turnedAway: rate.NewLimiter(20, 1), events: cache.New(forgetAfter, 0)}
}

var errOthersFirst = errors.New("the event failed before, and other events come first")

// enter begins an attempt; leave ends it. If too many failed events are under way, the attempt is not made, and the event must
// come again later.
func (f *failing) enter(a *attempt) bool {
	var e *failure
	if known, ok := f.events.Get(a.Key); ok {
		e = known.(*failure)
	} else if a.Attempt > 1 { // it failed in another process, or before a restart
		e = f.firstFailure(a.Key)
	}
	switch {
	case e == nil:
		return true
	case f.busy >= f.maxBusy:
		a.wait = time.Second + f.turnedAway.Reserve().Delay()
		return false
	}
	f.busy++
	a.failure = e
	return true
}

func (f *failing) leave(a *attempt) {
	if a.failure != nil {
		f.busy--
	}
	a.failure = nil
}

// othersSucceeded reports whether the event failed before, and other events got good answers since then.
func (f *failing) othersSucceeded(a *attempt) bool {
	return a.failure != nil && a.failure.goodAnswers != f.goodAnswers
}

func (f *failing) succeeded(a *attempt) {
	f.goodAnswers++
	if a.failure == nil {
		f.failureRate -= f.failureRate / 16
	}
	f.events.Delete(a.Key)
}

// firstFailure notes the first failure that this process knows of an event.
func (f *failing) firstFailure(key string) *failure {
	f.failureRate += (1 - f.failureRate) / 16
	if f.events.ItemCount()%1024 == 0 { // not each time: it looks at all events
		f.events.DeleteExpired()
	}
	e := &failure{first: time.Now(), last: time.Now(), goodAnswers: f.goodAnswers}
	f.events.SetDefault(key, e)
	return e
}

// failed notes a failed attempt, and sets what follows from it.
func (f *failing) failed(a *attempt) {
	now, e := time.Now(), a.failure
	if e == nil {
		a.news = true
		f.firstFailure(a.Key)
		return
	}
	if f.othersSucceeded(a) {
		e.times++
		e.aloneFor += min(now.Sub(e.last), countAtMost)
	}
	f.events.SetDefault(a.Key, e)
	e.last, e.goodAnswers = now, f.goodAnswers
	switch {
	case e.alone && e.aloneFor >= giveUpAfter:
		f.events.Delete(a.Key)
		a.class, a.err = classRejected, fmt.Errorf("%w (given up after it failed for a day while others were delivered)", a.err)
		return
	case !e.alone && e.aloneFor >= minAlone && math.Pow(max(f.failureRate, 0.01), float64(e.times+1)) <= maxChance:
		e.alone, a.news = true, a.class != classSuspected // a refusal was said at once
	}
	if a.alone = e.alone; e.alone {
		alone := min(max(e.aloneFor, firstAloneWait), time.Hour)
		a.wait = max(a.wait, alone+rand.N(alone/10))
		a.aside = e.aloneFor >= setAsideAfter
	}
	// Where nothing succeeds, perhaps only a later event of a customer can: once an hour one customer's events may pass.
	if !a.aside && now.Sub(e.first) >= setAsideAfter && now.Sub(f.lastTrial) >= setAsideAfter {
		f.lastTrial, a.aside = now, true
	}
}
