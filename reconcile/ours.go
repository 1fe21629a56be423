package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// event is a sale or a refund of ours.
type event struct {
	id, kind  string
	amount    int64
	currency  string // lower case
	at        time.Time
	outcome   fprom.Outcome // empty: no answer is known
	ignored   bool          // no commission is expected: it waits, is a dead letter, is free, or only its id is known
	free      bool          // its amount is zero
	dead      bool          // it is a dead letter
	earned    int           // commissions in the answer
	earnedID  []int64
	customers [2]string   // the address and the uid, known from a list only
	brought   *source     // who brought the customer; nil if a list does not say it
	sale      string      // the sale's id of a refund, if known
	body      fprom.Event // for Redrive

	twin    *event // its id differs in case only; nil if there is none
	rows    []firstpromoter.Commission
	verdict verdict // empty: none yet
}

// counted reports whether FirstPromoter counts the event as a sale.
func (e *event) counted() bool {
	return e.kind == fprom.KindSale && !e.ignored && e.outcome != fprom.NotReferral
}

// earns reports whether a commission of the event is what it earned. One that a refund takes back may have the sale's id.
func (e *event) earns(c firstpromoter.Commission) bool {
	return e.kind == fprom.KindRefund || !c.Refund()
}

// has counts the commissions that the event earned, of those that were read.
func (e *event) has() (n int) {
	for _, c := range e.rows {
		if e.earns(c) {
			n++
		}
	}
	return n
}

// keyOf is the key of an event, in lower case the one in byKey.
func keyOf(kind, id string) string { return fprom.SafeKey(kind + ":" + strings.TrimSpace(id)) }

// exact returns our event with this key, or nil.
func (r *run) exact(key string) *event {
	e := r.byKey[strings.ToLower(key)]
	for e != nil && keyOf(e.kind, e.id) != key {
		e = e.twin
	}
	return e
}

// find returns our event with this key. FirstPromoter might change the case of an id: so, if there is none, it returns one whose id differs
// in case only, or nil.
func (r *run) find(key string) *event { return cmp.Or(r.exact(key), r.byKey[strings.ToLower(key)]) }

func (r *run) add(e *event) {
	key := keyOf(e.kind, e.id)
	lower := strings.ToLower(key)
	e.twin = r.byKey[lower]
	switch was := r.exact(key); {
	case was == nil:
		r.byKey[lower] = e
		r.ours = append(r.ours, e)
		if e.kind == fprom.KindRefund {
			r.ourRefunds = append(r.ourRefunds, e)
		}
	case was.ignored: // a list may have the failed attempts before a payment
		e.twin = was.twin
		*was = *e
		e = was
	default:
		return
	}
	for _, id := range e.earnedID {
		r.byCommission[id] = e
	}
}

// maxDelay is the longest time between the recording and the delivery of an event that Run still reads.
const maxDelay = 35 * 24 * time.Hour

// loadOutbox reads the events that may have been delivered on the days.
func (r *run) loadOutbox(ctx context.Context) error {
	for e, err := range r.Outbox.Entries(ctx, fprom.Filter{Limit: 1}) {
		if err != nil {
			return fmt.Errorf("fprom: read the outbox: %w", err)
		}
		r.began = e.RecordedAt.Truncate(time.Second) // as FirstPromoter's dates are
	}
	f := fprom.Filter{Since: r.days.from.date().Add(-maxDelay), Until: (r.days.to + 3).date()}
	n := 0
	for e, err := range r.Outbox.Entries(ctx, f) {
		if err != nil {
			return fmt.Errorf("fprom: read the outbox: %w", err)
		}
		if own := fromEntry(e); own != nil {
			r.add(own)
		}
		if e.RecordedAt.Before(r.began) { // redriven: then it is not the first one any more
			r.began = e.RecordedAt
		}
		n++
		r.loaded("outbox", n)
	}
	return nil
}

// fromEntry returns nil for kinds that earn nothing. But the sales of a customer whose sign-up was given up earn nothing either.
func fromEntry(e fprom.Entry) *event {
	if e.Kind != fprom.KindSale && e.Kind != fprom.KindRefund && (e.Kind != fprom.KindSignup || e.State != fprom.StateDead) {
		return nil
	}
	own := &event{
		id: strings.TrimPrefix(e.Key, e.Kind+":"), kind: e.Kind, amount: e.Amount, currency: strings.ToLower(e.Currency),
		at: e.SettledAt, outcome: e.Outcome, ignored: e.State != fprom.StateDone || e.Damaged, dead: e.State == fprom.StateDead, earned: e.Commissions, earnedID: e.CommissionIDs,
	}
	if own.at.IsZero() {
		own.at = e.RecordedAt
	}
	return own
}

// loaded tells of each thousand events.
func (r *run) loaded(stage string, n int) {
	if n%1000 == 0 {
		r.progress(stage, n, 0, 0)
	}
}

// loadSales reads a list of sales.
func (r *run) loadSales(ctx context.Context) error {
	n := 0
	for s, err := range r.Sales {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		n++
		r.loaded("sales", n)
		own := &event{id: s.ID, at: s.At, kind: fprom.KindSale}
		switch e := s.Event.(type) {
		case fprom.Sale:
			own.id, own.amount, own.currency, own.customers = e.EventID, e.Amount, strings.ToLower(e.Currency), [2]string{e.Email, e.UID}
			if s := (source{e.TID != "", strings.Clone(e.RefID), strings.Clone(e.PromoCode)}); s != (source{}) {
				own.brought = &s
			}
		case fprom.Refund:
			own.kind, own.id, own.sale = fprom.KindRefund, e.EventID, e.SaleEventID
			own.amount, own.currency, own.customers = e.Amount, strings.ToLower(e.Currency), [2]string{e.Email, e.UID}
		case nil:
		default:
			continue
		}
		for _, text := range []*string{&own.id, &own.currency, &own.customers[0], &own.customers[1], &own.sale} {
			*text = strings.Clone(*text) // a part of the row would keep all of it
		}
		own.ignored, own.free = own.amount == 0, own.amount == 0 && s.Event != nil
		if r.Outbox != nil {
			r.addBody(own, s.Event)
			continue
		}
		if r.Redrive != nil {
			own.body = s.Event
		}
		r.add(own)
	}
	return nil
}

// addBody adds the body of a listed sale to the same event of the outbox. The body gets the currency with which the event was sent;
// a list may leave it out.
func (r *run) addBody(own *event, body fprom.Event) {
	e := r.find(keyOf(own.kind, own.id))
	if e == nil || e.amount != own.amount || own.currency != "" && e.currency != "" && own.currency != e.currency {
		return
	}
	switch b := body.(type) {
	case fprom.Sale:
		b.Currency = e.currency
		e.body = b
	case fprom.Refund:
		b.Currency = e.currency
		e.body = b
	default:
		return
	}
	e.sale = own.sale
}
