package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/internal/backlog"
)

// nameByCustomer finds the sale of each commission without an event id: by customer, amount and time, and then by customer and time
// only, since the amount may be wrong. It is for a list of sales: an outbox has the commissions' ids.
func (r *run) nameByCustomer() {
	if len(r.nameless) == 0 {
		return
	}
	ours := byCustomer(slices.DeleteFunc(slices.Clone(r.ours), func(e *event) bool { return e.ignored }))
	for _, fits := range []func(*event, firstpromoter.Commission) bool{
		func(e *event, c firstpromoter.Commission) bool { return !hasCommissionOf(e, c) && sameAmount(e, c) },
		func(e *event, _ firstpromoter.Commission) bool { return len(e.rows) == 0 },
	} {
		r.nameless = slices.DeleteFunc(r.nameless, func(c firstpromoter.Commission) bool {
			e := nearest(ours(c), c, fits)
			if e != nil {
				e.rows = append(e.rows, c)
			}
			return e != nil
		})
	}
}

// byCustomer returns a function that finds those of events that are of a commission's customer and kind. Only a list has the customers.
func byCustomer(events []*event) func(firstpromoter.Commission) []*event {
	found := map[[2]string][]*event{}
	for _, e := range events {
		for _, name := range e.customers {
			if who := [2]string{backlog.Customer(name), e.kind}; name != "" {
				found[who] = append(found[who], e)
			}
		}
	}
	return func(c firstpromoter.Commission) []*event {
		return slices.Concat(found[[2]string{backlog.Customer(c.Email), kindOf(c)}], found[[2]string{backlog.Customer(c.UID), kindOf(c)}])
	}
}

// hasCommissionOf reports whether an event has the same share as c already.
func hasCommissionOf(e *event, c firstpromoter.Commission) bool {
	return slices.ContainsFunc(e.rows, func(x firstpromoter.Commission) bool { return shareOf(x) == shareOf(c) })
}

// samePayment is how far a commission of a sale may be from the sale's date.
const samePayment = 48 * time.Hour

// nearest returns the fitting event that is nearest in time, within samePayment, or nil.
func nearest(events []*event, c firstpromoter.Commission, fits func(*event, firstpromoter.Commission) bool) (best *event) {
	least := samePayment
	for _, e := range events {
		if d := c.Created.Sub(e.at).Abs(); fits(e, c) && d <= least {
			best, least = e, d
		}
	}
	return best
}

// judgeForeign reports the commissions of some days whose event ids are not ours. It looks their ids up in the outbox first: an
// event may have been recorded long before, or just now.
func (r *run) judgeForeign(ctx context.Context, s span) error {
	r.nameByCustomer()
	for _, c := range r.nameless {
		if s.has(dayOf(c.Created, 0)) {
			r.report.Unidentified++
		}
	}
	if r.Outbox != nil {
		if err := r.dropKnown(ctx, s); err != nil {
			return err
		}
	}
	var found []Entry
	for _, rows := range r.foreign {
		if !s.has(dayOf(rows[0].Created, 0)) {
			continue
		}
		listed := r.Outbox != nil || len(r.ourRefunds) > 0 || kindOf(rows[0]) != fprom.KindRefund // a list of sales without refunds says nothing about them
		if !listed || rows[0].Created.Before(r.began) {                                           // nor does an outbox about what was before it
			r.report.Unidentified += len(rows)
			continue
		}
		amount, currency := theirMoney(rows[0])
		entry := Entry{EventID: rows[0].EventID, Kind: kindOf(rows[0]), Amount: abs(amount), Currency: currency, SettledAt: rows[0].Created}
		for _, c := range rows {
			entry.CommissionIDs = append(entry.CommissionIDs, c.ID)
		}
		if !slices.ContainsFunc(rows, func(c firstpromoter.Commission) bool { return c.Status != firstpromoter.StatusDenied }) {
			entry.Status = firstpromoter.StatusDenied
			r.report.Denied = append(r.report.Denied, entry)
			continue
		}
		found = append(found, entry)
	}
	slices.SortFunc(found, func(a, b Entry) int {
		return cmp.Or(a.SettledAt.Compare(b.SettledAt), cmp.Compare(a.EventID, b.EventID))
	})
	r.report.Foreign = append(r.report.Foreign, found...)
	return nil
}

// lookUpAtOnce is how many keys are looked up in an outbox at once.
const lookUpAtOnce = 500

// dropKnown removes our events from the foreign ones of some days. The commission of a refund may have the sale's id.
func (r *run) dropKnown(ctx context.Context, s span) error {
	var ids []string
	for _, rows := range r.foreign {
		if s.has(dayOf(rows[0].Created, 0)) {
			ids = append(ids, rows[0].EventID)
		}
	}
	for part := range slices.Chunk(ids, lookUpAtOnce) {
		for kind, known := range map[string][]string{fprom.KindSale: {fprom.KindSale, fprom.KindRefund}, fprom.KindRefund: {fprom.KindRefund}} {
			for e, err := range r.Outbox.Entries(ctx, fprom.Filter{Keys: part, Kind: kind}) {
				if err != nil {
					return fmt.Errorf("fprom: read the outbox: %w", err)
				}
				for _, k := range known {
					delete(r.foreign, keyOf(k, strings.TrimPrefix(e.Key, kind+":")))
				}
			}
		}
	}
	return nil
}
