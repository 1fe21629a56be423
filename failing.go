package fprom

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

const (
	maxChance      = 1e-4             // the highest probability that an event that is taken for one that fails alone does so by chance
	firstAloneWait = 10 * time.Minute // of an event that fails alone, before its next attempt; it doubles, up to an hour
	setAsideAt     = 4                // failures alone, an hour after the first: the later events of the customer pass
	giveUpAt       = setAsideAt + 23  // failures alone, a day after the first: the event is a dead letter
)

// failing says which events fail alone: others got good answers between an event's failures, and it failed more often than the
// failures of first attempts explain. Then neither FirstPromoter nor the account is at fault. Such an event is sent less and
// less often, down to once an hour, and does not count for the breaker. After a restart its failures are counted anew.
//
// It is a part of the gate, whose mu is held in all its methods.
type failing struct {
	goodAnswers uint64
	failureRate float64 // the share of first attempts that failed lately
}

// failure is what is known of a queued event whose last attempt failed or was refused.
type failure struct {
	goodAnswers uint64 // failing.goodAnswers at the last failure
	times       int    // how often it failed again although others succeeded meanwhile
	alone       int    // of these since it is known to fail alone; 0 if it is not
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
	e := a.known.failure
	if e == nil {
		f.failureRate += (1 - f.failureRate) / 16
		a.news, a.known.failure = true, &failure{goodAnswers: f.goodAnswers}
		return
	}
	if f.othersSucceeded(a) {
		e.times++
		if e.alone > 0 || math.Pow(max(f.failureRate, 0.01), float64(e.times+1)) <= maxChance {
			e.alone++
			a.news = e.alone == 1 && a.class != classSuspected // a refusal was said at once
		}
	}
	e.goodAnswers = f.goodAnswers
	switch {
	case e.alone >= giveUpAt:
		a.class, a.err = classRejected, fmt.Errorf("%w (given up after it failed for a day while others were delivered)", a.err)
	case e.alone > 0:
		alone := min(firstAloneWait<<min(e.alone-1, 3), time.Hour)
		a.wait = max(a.wait, alone+rand.N(alone/10))
		a.aside = e.alone >= setAsideAt
	}
}
