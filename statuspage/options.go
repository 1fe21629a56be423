package statuspage

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

// Options say who may see the page and what they may do. Either Auth or Public is needed.
type Options struct {
	// Auth reports whether a request may see the page. It is called for every request but those of healthz, and must be
	// safe for concurrent use.
	Auth func(*http.Request) bool
	// Public shows the page to everybody who can reach it. Auth is not asked then.
	Public bool
	// Challenge is sent as WWW-Authenticate to those whom Auth refuses, so that a browser asks for a password:
	// `Basic realm="fprom"`. Default none: they get 403.
	Challenge string
	// Writable lets those who see the page redrive and drop dead letters. Requests of other sites are refused.
	Writable bool
	// Outbox is what the page shows. Default: the queue of the Tracker.
	Outbox fprom.Outbox
	// Open, if set, opens what the page shows, in place of Outbox. The page opens it for each look and closes it after that:
	// so a file that only one process can have is free for its service. One call at a time.
	Open func() (fprom.Outbox, error)
	// Name is shown at the top, to tell the page of one service from that of another. Default none.
	Name string
	// OldestAge is how long an event may wait until the page and readyz say that something is wrong. Default 2 h: a sale
	// of a customer whom FirstPromoter does not know yet is asked about for an hour (fprom.RetryConfig.NotFound).
	OldestAge time.Duration
	// RequestsPerMinute is the limit of the account, drawn as a line. Default: the Tracker's, else 400, which is
	// FirstPromoter's.
	RequestsPerMinute int
	// Compared, if set, is the last comparison with FirstPromoter, for the page and status.json; of reconcile.Nightly, see
	// Comparison. It must be safe for concurrent use, and return at once.
	Compared func() Comparison
}

func (o Options) withDefaults() (Options, error) {
	o.OldestAge = cmp.Or(o.OldestAge, 2*time.Hour)
	switch {
	case o.Auth == nil && !o.Public:
		return o, &fprom.ValidationError{Field: "Options.Auth", Reason: "is missing: say who may see the page, or set Options.Public"}
	case o.OldestAge < 0:
		return o, &fprom.ValidationError{Field: "Options.OldestAge", Reason: "is negative"}
	case o.RequestsPerMinute < 0:
		return o, &fprom.ValidationError{Field: "Options.RequestsPerMinute", Reason: "is negative"}
	}
	return o, nil
}

// page is the handler.
type page struct {
	Options

	tracker *fprom.Tracker
	cross   *http.CrossOriginProtection

	opened   sync.Mutex // held while the outbox is open, with Options.Open
	mu       sync.Mutex // held while the outbox is read: those who ask meanwhile get the same answer
	last     snapshot
	trail    trail
	redriven time.Time // when this page last did
}

// Handler is the status page of t. A nil t with Options.Outbox or Open shows an outbox without its service, as "fprom page"
// does; a nil t without one, as in development, says that nothing is tracked. The error is a *fprom.ValidationError that
// names the field of o.
func Handler(t *fprom.Tracker, o Options) (http.Handler, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	o.RequestsPerMinute = cmp.Or(o.RequestsPerMinute, t.Stats().RequestsPerMinute, 400)
	return &page{Options: o, tracker: t, cross: http.NewCrossOriginProtection()}, nil
}
