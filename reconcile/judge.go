package reconcile

import (
	"context"
	"slices"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// verdict is the result for one of our events.
type verdict string

const (
	matched      verdict = "matched"
	noCommission verdict = "no commission"
	notReferral  verdict = "not a referral"
	waiting      verdict = "waiting"
	deleted      verdict = "deleted"
	missing      verdict = "missing"
)

// conclude sets and counts a verdict.
func (r *run) conclude(e *event, v verdict) {
	e.verdict = v
	switch v {
	case matched:
		r.report.Matched++
	case noCommission:
		r.report.NoCommission++
	case notReferral:
		r.report.NotReferral++
	case waiting:
		r.report.Waiting++
	case missing:
		r.report.Missing = append(r.report.Missing, e.entry())
		r.lost = append(r.lost, e)
	case deleted:
		r.deny(e, firstpromoter.StatusDeleted)
	}
}

func (r *run) deny(e *event, status string) {
	entry := e.entry()
	entry.Status = status
	r.report.Denied = append(r.report.Denied, entry)
}

// judgeByOutcome judges the events whose commissions do not matter. It reports whether e is one.
func (r *run) judgeByOutcome(e *event) bool {
	switch {
	case e.ignored:
		r.conclude(e, waiting)
		if e.dead && len(e.rows) == 0 {
			r.report.Dead++
		}
	case e.outcome == fprom.NotReferral:
		r.conclude(e, notReferral)
	default:
		return false
	}
	return true
}

// judgeUnread judges the events of days whose totals agree.
func (r *run) judgeUnread(s span) {
	for d := s.from; d <= s.to; d++ {
		for _, e := range r.byDay[d] {
			switch status := r.decision(e); {
			case r.judgeByOutcome(e):
			case status == firstpromoter.StatusDeleted:
				r.conclude(e, deleted)
			case status == firstpromoter.StatusDenied:
				r.deny(e, status)
				r.conclude(e, matched)
			case e.outcome == "" || e.outcome == fprom.Duplicate || e.earned > 0: // the answer to a duplicate names no commissions
				r.conclude(e, matched)
			default:
				r.conclude(e, noCommission)
			}
		}
	}
}

// judge judges the events of days whose commissions were read, and the foreign commissions of these days.
func (r *run) judge(ctx context.Context, s span) error {
	if err := r.judgeForeign(ctx, s); err != nil {
		return err
	}
	var without []*event
	for d := s.from; d <= s.to; d++ {
		for _, e := range r.byDay[d] {
			switch {
			case e.free && len(e.rows) > 0:
				r.compare(e)
			case r.judgeByOutcome(e):
			case e.has() == 0 || r.lacks(e):
				without = append(without, e)
			default:
				r.compare(e)
			}
		}
	}
	return r.judgeMissing(ctx, s, without)
}

// judgeAgain finds the events that got the same commission again after their verdict, on a later day.
func (r *run) judgeAgain() {
	for _, e := range r.ours {
		if e.verdict == matched && doubled(e) {
			r.report.Matched--
			r.report.Doubled = append(r.report.Doubled, e.entry())
		}
	}
}

// compare judges an event that has commissions.
func (r *run) compare(e *event) {
	wrong, twice, denied := wrongAmount(e), doubled(e), true
	for _, c := range e.rows {
		denied = denied && c.Status == "denied"
	}
	if denied {
		r.deny(e, firstpromoter.StatusDenied)
	}
	if wrong != nil {
		entry := e.entry()
		entry.TheirAmount, entry.TheirCurrency = theirMoney(*wrong)
		r.report.AmountDiffers = append(r.report.AmountDiffers, entry)
	}
	if twice {
		r.report.Doubled = append(r.report.Doubled, e.entry())
	}
	if wrong == nil && !twice {
		r.conclude(e, matched)
	}
}

// entry is an event as the report shows it.
func (e *event) entry() Entry {
	ids := make([]int64, 0, len(e.rows)+len(e.earnedID))
	for _, c := range e.rows {
		ids = append(ids, c.ID)
	}
	if len(ids) == 0 || e.verdict == missing { // then those that are missing
		ids = slices.DeleteFunc(append([]int64{}, e.earnedID...), func(id int64) bool { return slices.Contains(ids, id) })
	}
	return Entry{EventID: e.id, Kind: e.kind, Amount: e.amount, Currency: strings.ToUpper(e.currency), SettledAt: e.at.UTC(), CommissionIDs: ids}
}
