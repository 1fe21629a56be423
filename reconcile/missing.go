package reconcile

import (
	"context"
	"slices"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// judgeMissing judges the events without a commission: whether one was to be expected, and whether it is elsewhere.
func (r *run) judgeMissing(ctx context.Context, s span, without []*event) error {
	var expected []*event
	for _, e := range without {
		if e.outcome != "" && e.earned == 0 || e.kind == fprom.KindRefund && !r.refunds {
			r.conclude(e, noCommission) // the answer had none; or this account shows no commissions of refunds
		} else {
			expected = append(expected, e)
		}
	}
	if r.Outbox == nil {
		referred, err := r.referred(ctx, expected)
		if err != nil {
			return err
		}
		expected = r.notArrived(s, referred)
	}
	r.progress("missing", 0, len(expected), len(expected))
	if err := r.askFor(ctx, expected); err != nil {
		return err
	}
	for _, e := range expected {
		switch {
		case len(e.rows) > 0:
			r.compare(e)
		case r.decision(e) == firstpromoter.StatusDeleted:
			r.conclude(e, deleted)
		default:
			r.conclude(e, missing)
		}
	}
	return nil
}

// decision is "deleted" if somebody deleted every commission of an event, "denied" if each is denied or deleted, else empty.
func (r *run) decision(e *event) (status string) {
	if r.Decided == nil {
		return ""
	}
	for _, id := range e.earnedID {
		switch s := r.Decided(id); {
		case s != firstpromoter.StatusDenied && s != firstpromoter.StatusDeleted:
			return ""
		case status != firstpromoter.StatusDenied:
			status = s
		}
	}
	return status
}

// askFor looks for events by name: their commissions may have been made on another day, or have been missed where a list
// changed while it was read. Commission ids are asked for a hundred at a time, event ids one by one.
func (r *run) askFor(ctx context.Context, events []*event) error {
	var ids []int64
	for _, e := range events {
		ids = append(ids, e.earnedID...)
	}
	for part := range slices.Chunk(ids, 100) {
		if err := r.ask(ctx, firstpromoter.CommissionQuery{IDs: part}); err != nil {
			return err
		}
	}
	for i, e := range events {
		if len(e.rows) > 0 || len(e.earnedID) > 0 {
			continue
		}
		if err := r.ask(ctx, firstpromoter.CommissionQuery{Search: e.id}); err != nil {
			return err
		}
		r.progress("missing", i+1, len(events), len(events)-i-1)
	}
	return nil
}

func (r *run) ask(ctx context.Context, q firstpromoter.CommissionQuery) error {
	for c, err := range r.Client.Commissions(ctx, q) {
		if err != nil {
			return err
		}
		if !r.seen[c.ID] && r.owner(c) != nil {
			r.take(c)
		}
	}
	return nil
}

// notArrived takes out the events of days on which FirstPromoter counts just our sales: they arrived, and earned nothing.
// Unless most days agree, the zone may be the wrong one: then the days beside must agree too.
func (r *run) notArrived(s span, events []*event) (left []*event) {
	offset, expected := r.arrivals(s, events)
	agrees := func(d day) bool { return !s.has(d) || r.totals[d] == expected[d] }
	active, agreeing := 0, 0
	for d := s.from; d <= s.to; d++ {
		if expected[d] > 0 {
			active++
			if agrees(d) {
				agreeing++
			}
		}
	}
	sure := active >= 3 && agreeing*3 >= active*2
	for _, e := range events {
		d := dayOf(e.at, offset)
		if e.kind == fprom.KindSale && r.totals[d] == expected[d] && (sure || agrees(d-1) && agrees(d+1)) {
			r.conclude(e, noCommission)
		} else {
			left = append(left, e)
		}
	}
	return left
}
