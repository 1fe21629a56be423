package fprom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// RetryConfig says when an event that could not be delivered is sent again. It is sent until it has an outcome, unless it fails
// for a day while others succeed. The zero value means the defaults.
type RetryConfig struct {
	// Base is the upper bound of the first wait; it doubles with each attempt. Default 1 s.
	Base time.Duration
	// Max caps the doubling. Default 1 min, or Base if that is longer.
	Max time.Duration
	// NotFound is for a sale with a TID, RefID or PromoCode that FirstPromoter answers with "no such referral", since the
	// sign-up may be on its way, and for a refund whose sale is not done in the durable queue's ledger, since the sale may be. It
	// lists when such an event is sent again, counted from the first such answer, before the answer is final; a backlog delays
	// these times. Default 30 s, 5 min and 1 h; with an empty slice that is not nil the first answer is final. Track always makes
	// one attempt. A new process counts anew.
	NotFound []time.Duration
}

// RetryDelay returns how long a queue waits before it delivers an event again. attempt is the number of the delivery that
// failed (1 for the first), and err is what deliver returned. If err asks for a wait, as FirstPromoter's Retry-After does, RetryDelay
// returns that. Otherwise the wait is random, and its bound doubles with each attempt up to RetryConfig.Max. Safe for concurrent use.
func RetryDelay(attempt int, err error) time.Duration {
	c := RetryConfig{Base: time.Second, Max: time.Minute}
	if d, ok := errors.AsType[*deliveryError](err); ok {
		if d.wait > 0 {
			return d.wait
		}
		c = d.retry
	} else if a, ok := errors.AsType[*APIError](err); ok && a.RetryAfter > 0 { // from the suites for queues, not from a Tracker
		return min(a.RetryAfter, maxRetryAfter)
	}
	top := c.Base
	for i := 1; i < attempt && top < c.Max; i++ {
		top += min(top, c.Max-top)
	}
	return max(rand.N(top), time.Millisecond)
}

// askAgain postpones the outcome of a NotReferral that may have come too early (RetryConfig.NotFound).
func (t *Tracker) askAgain(a *attempt) {
	e, _ := a.Event()
	sale, _ := e.(Sale)
	early := a.class == classAskAgain || a.needs != "" || sale.TID+sale.RefID+sale.PromoCode != "" // it names its referral
	times, first := t.cfg.Retry.NotFound, cmp.Or(a.known.notFound, time.Now())
	age := time.Since(first)
	i := slices.IndexFunc(times, func(at time.Duration) bool { return age < at })
	if a.class = classDone; !a.queued || !early || i < 0 {
		return
	}
	a.known.notFound, a.class = first, classAskAgain
	a.wait, a.aside = times[i]-age, a.needs != "" || i == len(times)-1 // its sale or its sign-up may wait behind it
	a.err = fmt.Errorf("fprom: %s: FirstPromoter knows no such %s yet: asked again in %v", SafeKey(a.Key), cmp.Or(a.needs, "referral"), a.wait.Round(time.Second))
}

// saleWaits reports whether a is a queued refund of a sale that has no outcome yet, and postpones it. A refund that is sent
// before its sale takes nothing back, and the commission stays.
func (t *Tracker) saleWaits(ctx context.Context, a *attempt) bool {
	e, _ := a.Event()
	refund, _ := e.(Refund)
	if !a.queued || refund.SaleEventID == "" {
		return false
	}
	sale := KindSale + ":" + refund.SaleEventID
	waits, why := errors.New("the sale has no outcome yet"), error(nil)
	if o, durable := t.Outbox(); durable {
		a.needs = "sale"
		why = t.guard(ctx, "the Queue's Entries", func() error {
			for e, err := range o.Entries(ctx, Filter{Keys: []string{sale}, Kind: KindSale}) {
				if e.State == StateDone {
					a.needs = ""
				}
				if e.State == StateWaiting {
					return waits
				}
				return err
			}
			return nil
		})
	} else if k := t.dedupe.look(sale); k.waits {
		why = waits
	}
	if why != nil {
		a.class, a.wait, a.aside = classAskAgain, time.Minute, true
		a.err = fmt.Errorf("fprom: %s: the refund is sent after its sale %s: %w", SafeKey(a.Key), SafeKey(sale), why)
	}
	return why != nil
}
