package fprom

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

const (
	firstAloneWait = 450 * time.Second // the first wait of an event that fails alone; it doubles, up to an hour
	setAsideAfter  = time.Hour         // after failing alone for so long, an event lets the later ones of its customer pass, unless it is a new sign-up
	giveUpAfter    = 24 * time.Hour    // after failing alone for so long, an event is a dead letter
	countAtMost    = 2 * time.Hour     // of the time between two attempts: the rest was a pause or an outage, in which nothing succeeded
)

// An event counts as failing alone if the probability that it failed so often by chance is at most maxChance, and if others
// succeeded beside it for minAlone: in a short fault, quick retries fail together.
const (
	maxChance = 1e-4
	minAlone  = 2 * time.Second
)

// failing says which events fail alone: others got good answers between an event's failures, and it failed more often than the
// failures of first attempts explain. Then neither FirstPromoter nor the account is at fault. Such an event is sent less and
// less often, down to once an hour, and does not count for the breaker. After a restart the hours are counted anew.
//
// It is a part of the gate, whose mu is held in all its methods.
type failing struct {
	goodAnswers uint64
	failureRate float64   // the share of first attempts that failed lately
	lastTrial   time.Time // when an event was last set aside although it does not fail alone, see failed
}

// failure is what is known of a queued event whose last attempt failed or was refused.
type failure struct {
	first, last time.Time     // failure
	goodAnswers uint64        // failing.goodAnswers at the last failure
	times       int           // how often it failed again although others succeeded meanwhile
	aloneFor    time.Duration // how long it has failed while others succeeded
	alone       bool          // it fails alone
}

// othersSucceeded reports whether the event failed before, and other events got good answers since then.
func (f *failing) othersSucceeded(a *attempt) bool {
	return a.known.failure != nil && a.known.failure.goodAnswers != f.goodAnswers
}

func (f *failing) succeeded(a *attempt) {
	f.goodAnswers++
	if a.known.failure == nil {
		f.failureRate -= f.failureRate / 16
	}
	a.known.failure = nil
}

// failed notes a failed attempt, and sets what follows from it.
func (f *failing) failed(a *attempt) {
	now, e := time.Now(), a.known.failure
	if e == nil {
		f.failureRate += (1 - f.failureRate) / 16
		a.news, a.known.failure = true, &failure{first: now, last: now, goodAnswers: f.goodAnswers}
		return
	}
	if f.othersSucceeded(a) {
		e.times++
		e.aloneFor += min(now.Sub(e.last), countAtMost)
	}
	e.last, e.goodAnswers = now, f.goodAnswers
	switch {
	case e.alone && e.aloneFor >= giveUpAfter:
		a.class, a.err = classRejected, fmt.Errorf("%w (given up after it failed for a day while others were delivered)", a.err)
		return
	case !e.alone && e.aloneFor >= minAlone && math.Pow(f.failureRate, float64(e.times+1)) <= maxChance:
		e.alone, a.news = true, a.class != classSuspected // a refusal was logged at once
	}
	if e.alone {
		alone := min(max(e.aloneFor, firstAloneWait), time.Hour)
		a.wait = max(a.wait, alone+rand.N(alone/10))
		a.aside = e.aloneFor >= setAsideAfter && (a.Kind != KindSignup || now.Sub(a.RecordedAt) >= 7*giveUpAfter) // after a week, since restarts may keep a sign-up from being given up
	}
	// If nothing succeeds, perhaps only a later event of a customer can: once an hour the events of one customer may pass.
	if !a.aside && a.Kind != KindSignup && now.Sub(e.first) >= setAsideAfter && now.Sub(f.lastTrial) >= setAsideAfter {
		f.lastTrial, a.aside = now, true
	}
}
