package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// judgeMissing judges the events without a commission, or with fewer than the answer had. If one is expected, it searches for the
// commission first.
func (r *run) judgeMissing(ctx context.Context, s span, without []*event) error {
	var expected []*event
	for _, e := range without {
		if e.outcome != "" && e.earned == 0 || e.kind == fprom.KindRefund && !r.refunds {
			r.conclude(e, noCommission) // the answer had none, or this account has no commissions of refunds
		} else {
			expected = append(expected, e)
		}
	}
	if r.Outbox == nil {
		referred, err := r.referred(ctx, expected)
		if err != nil {
			return err
		}
		expected = r.dropArrived(s, referred)
	}
	r.progress("missing", 0, len(expected), len(expected))
	if err := r.searchMissing(ctx, s, expected); err != nil {
		return err
	}
	for _, e := range expected {
		switch {
		case e.has() > 0 && !r.lacks(e):
			r.compare(e)
		case r.decision(e) == firstpromoter.StatusDeleted:
			r.conclude(e, deleted)
		default:
			r.conclude(e, missing)
		}
	}
	return nil
}

// decision is "deleted" if every commission of an event was deleted, "denied" if every one was denied or deleted, else empty.
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

// lacks reports whether FirstPromoter has fewer commissions of an event than its answer had, without those that somebody deleted.
func (r *run) lacks(e *event) bool {
	expected := len(e.earnedID) - e.has()
	for _, id := range e.earnedID {
		if r.Decided != nil && r.Decided(id) == firstpromoter.StatusDeleted {
			expected--
		}
	}
	return expected > 0
}

// searchMissing searches for the commissions of events: by commission id, a hundred a call, then by event id, one a call. A
// commission may be of another day, or may have been missed in a list that changed while it was read. An event that was sent again
// has a commission of that day, with another id.
func (r *run) searchMissing(ctx context.Context, s span, events []*event) error {
	var ids []int64
	for _, e := range events {
		ids = append(ids, e.earnedID...)
	}
	for part := range slices.Chunk(ids, 100) {
		if err := r.search(ctx, firstpromoter.CommissionQuery{IDs: part}); err != nil {
			return err
		}
	}
	readAll := dayOf(time.Now(), 0) <= s.to+1 // nothing was created after what readSpan has read
	for i, e := range events {
		if e.has() > 0 || len(e.earnedID) > 0 && readAll {
			continue
		}
		if err := r.search(ctx, firstpromoter.CommissionQuery{Search: e.id}); err != nil {
			return err
		}
		r.progress("missing", i+1, len(events), len(events)-i-1)
	}
	return nil
}

func (r *run) search(ctx context.Context, q firstpromoter.CommissionQuery) error {
	for c, err := range r.Client.Commissions(ctx, q) {
		if err != nil {
			return err
		}
		r.assign(c)
	}
	return nil
}

// longDelivery is how long before midnight a sale may have been made that counts on the next day.
const longDelivery = 4 * time.Hour

// dropArrived returns the events without those of days on which FirstPromoter's total is ours: these arrived, and earned nothing.
// If fewer than two thirds of the days agree, the zone may be wrong: then the days before and after must agree, too. A lost sale can
// make a wrong zone fit best: so, unless the zone is UTC, the day must agree in each zone that fits but for one sale.
func (r *run) dropArrived(s span, events []*event) (left []*event) {
	t := r.arrivals(s, events)
	least := r.difference(t, s, r.offset)
	near := map[time.Duration]map[day]int{}
	for _, m := range zones {
		if offset := time.Duration(m) * time.Minute; r.offset != 0 && r.difference(t, s, offset) <= least+1 {
			near[offset] = t.byDay(offset)
		}
	}
	expected := t.byDay(r.offset)
	agrees := func(d day) bool { return !s.has(d) || r.totals[d] == expected[d] }
	late := map[day]bool{} // days on which a sale of the evening before may have arrived, and hide a lost one
	for _, e := range events {
		d, next := dayOf(e.at, r.offset), dayOf(e.at.Add(longDelivery), r.offset)
		late[next] = late[next] || d < next && s.has(d) && r.totals[d] < expected[d]
	}
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
		d := dayOf(e.at, r.offset)
		arrived := e.kind == fprom.KindSale && r.totals[d] == expected[d] && !late[d] && (sure || agrees(d-1) && agrees(d+1))
		for offset, counts := range near {
			in := dayOf(e.at, offset)
			arrived = arrived && (!s.has(in) || r.totals[in] == counts[in])
		}
		if arrived {
			r.conclude(e, noCommission)
		} else {
			left = append(left, e)
		}
	}
	return left
}
