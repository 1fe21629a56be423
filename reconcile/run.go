package reconcile

import (
	"context"
	"time"

	"github.com/fprom-go/fprom/firstpromoter"
)

// run is one comparison.
type run struct {
	Options
	report  Report
	days    span
	offset  time.Duration    // of the zone in which days are compared
	totals  map[day]int      // sales that FirstPromoter counts
	revenue map[day]int64    // their sum, less refunds
	read    map[day]bool     // days whose commissions are read
	byDay   map[day][]*event // ours

	ours         []*event
	ourRefunds   []*event
	byKey        map[string]*event
	byCommission map[int64]*event
	late         []*event // got a commission after their verdict
	lost         []*event // what is missing

	seen     map[int64]bool                        // ids of the commissions that were read
	strange  map[string][]firstpromoter.Commission // event ids that are not ours, by key
	told     map[string]bool                       // those that are in the report
	nameless []firstpromoter.Commission            // commissions without an event id that are nobody's yet
	refunds  bool                                  // FirstPromoter has commissions of refunds here

	leads  map[string]firstpromoter.Referral // referrals by customer
	asked  map[string]bool                   // customers who were looked for
	listed bool                              // all referrals are in leads
}

// Run compares, and changes nothing unless Options.Redrive is set. Errors: a *fprom.ValidationError of an option, ctx's, the
// client's (see package firstpromoter) or the outbox's. After an interruption the Report covers the days until Report.Next:
// run it again from there.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.validate(); err != nil {
		return Report{}, err
	}
	r := &run{
		Options: o, days: span{dateOf(o.From), dateOf(o.To)}, read: map[day]bool{}, byDay: map[day][]*event{},
		byKey: map[string]*event{}, byCommission: map[int64]*event{},
		seen: map[int64]bool{}, strange: map[string][]firstpromoter.Commission{}, told: map[string]bool{},
		leads: map[string]firstpromoter.Referral{}, asked: map[string]bool{},
	}
	calls := o.Client.Calls()
	err := r.run(ctx)
	r.report.Calls = o.Client.Calls() - calls
	r.report.empty()
	return r.report, err
}

// dateOf is the day that t names where it is.
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
		if err := r.loadSales(); err != nil {
			return err
		}
	}
	if err := r.readTotals(ctx); err != nil {
		return err
	}
	r.compareDays()
	r.progress("days", 0, len(r.read), 0)
	if err := r.compareCommissions(ctx); err != nil || r.Redrive == nil {
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
