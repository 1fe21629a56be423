package reconcile

import (
	"context"
	"iter"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

// Options configures Run.
type Options struct {
	// Client reads FirstPromoter's Company API, at its own rate. Required.
	Client *firstpromoter.Client
	// From and To are the first and the last day to compare, by their dates. Required.
	From, To time.Time
	// Outbox is what was sent. It or Sales is required.
	Outbox fprom.Outbox
	// Sales is what should have been sent (see File). Beside an Outbox it is not compared: it lends Redrive the customers,
	// whom the outbox has forgotten.
	Sales iter.Seq2[Sale, error]
	// Full reads the commissions of all days, not only of those whose totals differ.
	Full bool
	// Decided, if set, says what somebody made of a commission: "denied", "deleted" or "" for nothing;
	// firstpromoter.Changes.Status is such a function. A sale whose commissions were all deleted is in Report.Denied then, and
	// not missing; and those that were denied are there also where the day's commissions are not read.
	Decided func(commission int64) string
	// Redrive, if set, sends what is missing again under its own event id; Tracker.Track is such a function. What FirstPromoter
	// knows already it refuses as a duplicate, so nothing is paid twice. Default: nothing is changed.
	Redrive func(context.Context, fprom.Event) (fprom.Result, error)
	// Progress, if set, is called after every step.
	Progress func(Progress)
}

// Sale is a sale or a refund that should have arrived at FirstPromoter.
type Sale struct {
	Event fprom.Event // a fprom.Sale or fprom.Refund; nil: only the id is known, and nothing is expected of it
	ID    string      // event id; default: that of Event
	At    time.Time   // when it was made
}

// Progress is where Run is.
type Progress struct {
	Stage string        // "days", "commissions", "customers", "missing", "redrive"
	Calls int           // to FirstPromoter so far
	Rows  int           // commissions read so far
	Done  int           // days whose commissions are read; in the stage of customers, or of missing ones, these
	Total int           // of how many
	Left  time.Duration // about, at the client's rate
}

func (o Options) validate() error {
	bad := func(field, reason string) error {
		return &fprom.ValidationError{Field: "Options." + field, Reason: reason}
	}
	switch {
	case o.Client == nil:
		return bad("Client", "is missing")
	case o.Outbox == nil && o.Sales == nil:
		return bad("Outbox", "is missing, and so is Sales: what was sent must come from one of them")
	case o.From.IsZero() || o.To.IsZero():
		return bad("From", "is missing, or To is")
	case dayOf(o.To, 0) < dayOf(o.From, 0):
		return bad("To", "is before From")
	case dayOf(o.To, 0)-dayOf(o.From, 0) > 3660:
		return bad("To", "is more than ten years after From")
	}
	return nil
}
