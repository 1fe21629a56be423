package reconcile

import (
	"context"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// compareCommissions is the second stage. It goes from day to day: after an interruption the earlier days are done.
func (r *run) compareCommissions(ctx context.Context) error {
	spans := r.spans()
	done, next := 0, r.days.from
	for i, s := range spans {
		r.judgeUnread(span{next, s.from - 1})
		before, lost := r.report, len(r.lost)
		err := r.readSpan(ctx, s, done, r.pages(spans[i:]))
		if err == nil {
			err = r.judge(ctx, s)
		}
		if err != nil {
			r.report, r.lost = before, r.lost[:lost] // the next run judges these days again
			r.giveUp(s.from)
			return err
		}
		for d := s.from; d <= s.to; d++ {
			r.report.Days[d-r.days.from].Read = true
		}
		done, next = done+s.len(), s.to+1
		r.progress("commissions", done, len(r.read), r.pages(spans[i+1:]))
	}
	r.judgeUnread(span{next, r.days.to})
	r.judgeAgain()
	return nil
}

// giveUp notes in the report the day at which the next run goes on.
func (r *run) giveUp(d day) {
	r.report.Next = d.String()
	r.report.Days = r.report.Days[:d-r.days.from]
}

// pages estimates the number of calls for the days.
func (r *run) pages(spans []span) (n int) {
	for _, s := range spans {
		rows := 0
		for d := s.from - 1; d <= s.to+2; d++ {
			rows += r.totals[d]
		}
		n += rows/100 + 1
	}
	return n
}

// readSpan reads the commissions of some days. FirstPromoter documents neither the zone of a day nor whether the last one is
// included: so it asks for more days, and the caller looks at Created.
func (r *run) readSpan(ctx context.Context, s span, done, pages int) error {
	q := firstpromoter.CommissionQuery{From: (s.from - 1).date(), To: (s.to + 2).date()}
	n := 0
	for c, err := range r.Client.Commissions(ctx, q) {
		if err != nil {
			return err
		}
		r.assign(c)
		if n++; n%100 == 0 {
			r.progress("commissions", done, len(r.read), max(pages-n/100, 0))
		}
	}
	return nil
}

// assign adds a commission to its event.
func (r *run) assign(c firstpromoter.Commission) {
	if r.seen[c.ID] {
		return
	}
	r.seen[c.ID] = true
	r.refunds = r.refunds || c.Refund()
	e := r.owner(c)
	switch {
	case e != nil:
		c.EventID, c.Email, c.UID = "", "", "" // nobody asks for them any more, and a million may be kept
		e.rows = append(e.rows, c)
	case c.Type != "" && c.Type != "sale" && c.Type != "refund": // made by hand, or for a lead
	case c.EventID == "":
		r.nameless = append(r.nameless, c)
	default:
		key := keyOf(kindOf(c), c.EventID)
		r.foreign[key] = append(r.foreign[key], c)
	}
}

// owner returns the event of ours that earned a commission, or nil. The commission ids in FirstPromoter's answer go before the
// event id, which may be null, and may be the sale's in the commission of a refund.
func (r *run) owner(c firstpromoter.Commission) *event {
	if e := r.byCommission[c.ID]; e != nil {
		return e
	}
	if e := r.find(keyOf(kindOf(c), c.EventID)); e != nil {
		return e
	}
	return r.refundOf(c)
}

// refundOf returns the refund of ours that fits a refund's commission with the sale's event id, rather one that was delivered; or else the
// sale, or nil. If every fitting refund has such a commission, one of them has it twice.
func (r *run) refundOf(c firstpromoter.Commission) *event {
	sale := r.find(keyOf(fprom.KindSale, c.EventID))
	if sale == nil {
		return nil
	}
	best := sale
	for _, e := range r.ourRefunds {
		fits := (e.sale == "" || e.sale == sale.id) && sameAmount(e, c) && c.Created.Sub(e.at).Abs() < samePayment
		if fits && (best == sale || hasCommissionOf(best, c) || best.ignored && !hasCommissionOf(e, c)) {
			best = e
		}
	}
	return best
}

func kindOf(c firstpromoter.Commission) string {
	if c.Refund() {
		return fprom.KindRefund
	}
	return fprom.KindSale
}
