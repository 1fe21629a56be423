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
	// Outbox has what was sent. Outbox or Sales is required.
	Outbox fprom.Outbox
	// Sales is what should have been sent (see File). With an Outbox it is not compared: it only provides the customers for
	// Redrive, since the outbox has erased them. Without an Outbox and a sale of the days only their totals are read.
	Sales iter.Seq2[Sale, error]
	// Full reads the commissions of all days, not only of those whose totals differ.
	Full bool
	// Decided, if set, returns whether somebody "denied" or "deleted" a commission; any other result means neither.
	// firstpromoter.Changes.Status is such a function. Then a sale whose commissions were all deleted is in Report.Denied and not
	// missing, and Report.Denied also covers days whose commissions are not read.
	Decided func(commission int64) string
	// Redrive, if set, sends each missing event again under its own event id; Tracker.Track is such a function. FirstPromoter
	// refuses an id that it has as a duplicate, so nothing is paid twice. Default: Run changes nothing.
	Redrive func(context.Context, fprom.Event) (fprom.Result, error)
	// Progress, if set, is called after every step.
	Progress func(Progress)
}

// Sale is a sale or a refund that should have arrived at FirstPromoter.
type Sale struct {
	Event fprom.Event // a fprom.Sale or fprom.Refund; nil: only the id is known. Then, or if its amount is zero, no commission is expected
	ID    string      // event id; default: that of Event
	At    time.Time   // when it was made
}

// Progress says how far Run has come.
type Progress struct {
	Stage string        // "outbox" and "sales" (reading what was sent), "days", "commissions", "customers", "missing", "redrive"
	Calls int           // to FirstPromoter so far
	Rows  int           // commissions read so far
	Done  int           // what is done of the stage: days, customers or events
	Total int           // all days, customers or events of the stage; 0: not known
	Left  time.Duration // an estimate, at the client's rate
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
	case dateOf(o.To) < dateOf(o.From):
		return bad("To", "is before From")
	case dateOf(o.To)-dateOf(o.From) > 3660:
		return bad("To", "is more than ten years after From")
	}
	return nil
}
