package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/fprom-go/fprom/firstpromoter"
)

// run is one comparison.
type run struct {
	Options
	report  Report
	days    span
	offset  time.Duration    // of the zone in which days are compared
	totals  map[day]int      // FirstPromoter's number of sales
	revenue map[day]int64    // FirstPromoter's sum of sales minus refunds
	read    map[day]bool     // days whose commissions must be read
	byDay   map[day][]*event // our events

	began        time.Time // when the oldest event of the outbox was recorded; zero without one
	ours         []*event
	ourRefunds   []*event
	byKey        map[string]*event
	byCommission map[int64]*event
	lost         []*event // missing events

	seen     map[int64]bool                        // ids of the commissions that were read
	foreign  map[string][]firstpromoter.Commission // commissions with an event id that is not ours, by key
	nameless []firstpromoter.Commission            // commissions without an event id that have no event yet
	refunds  bool                                  // this account has commissions of refunds

	leads     map[string]*firstpromoter.Referral // referrals by customer; nil: FirstPromoter has none
	listed    bool                               // all referrals are in leads
	promoters map[[2]string]bool                 // whether there is one, by find_by and its value
}

// Run compares. It changes nothing unless Options.Redrive is set. The error is a *fprom.ValidationError of an option, or an error
// of ctx, the client (see package firstpromoter) or the outbox. After an interruption the Report covers the days before
// Report.Next: call Run again from that day.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.validate(); err != nil {
		return Report{}, err
	}
	r := &run{
		Options: o, report: Report{Days: []Day{}, Missing: []Entry{}, Foreign: []Entry{}, AmountDiffers: []Entry{}, Doubled: []Entry{}, Denied: []Entry{}}, // [] in JSON
		days: span{dateOf(o.From), dateOf(o.To)}, read: map[day]bool{}, byDay: map[day][]*event{},
		byKey: map[string]*event{}, byCommission: map[int64]*event{},
		seen: map[int64]bool{}, foreign: map[string][]firstpromoter.Commission{},
		leads: map[string]*firstpromoter.Referral{}, promoters: map[[2]string]bool{},
	}
	calls := o.Client.Calls()
	err := r.run(ctx)
	r.report.Calls = o.Client.Calls() - calls
	return r.report, err
}

// dateOf is the date of t in its own location.
func dateOf(t time.Time) day {
	y, m, d := t.Date()
	return dayOf(time.Date(y, m, d, 0, 0, 0, 0, time.UTC), 0)
}

func (r *run) run(ctx context.Context) error {
	if r.Outbox != nil {
		if err := r.loadOutbox(ctx); err != nil {
			return err
		}
	}
	if r.Sales != nil {
		if err := r.loadSales(ctx); err != nil {
			return err
		}
	}
	if err := r.readTotals(ctx); err != nil {
		return err
	}
	r.compareDays()
	if r.Outbox == nil && !slices.ContainsFunc(r.ours, func(e *event) bool { return r.days.has(dayOf(e.at, 0)) }) {
		clear(r.read) // a list of other days says nothing about these: all commissions would be foreign
	}
	r.progress("days", 0, len(r.read), 0)
	err := r.compareCommissions(ctx)
	if r.dropOtherIDs(); err != nil || r.Redrive == nil {
		return err
	}
	return r.redrive(ctx)
}

func (r *run) progress(stage string, done, total, pages int) {
	if r.Progress == nil {
		return
	}
	r.Progress(Progress{
		Stage: stage, Calls: r.Client.Calls(), Rows: len(r.seen), Done: done, Total: total,
		Left: time.Duration(pages) * time.Minute / time.Duration(r.Client.Rate()),
	})
}
