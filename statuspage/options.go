package statuspage

import (
	"cmp"
	"net/http"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/verdict"
)

// Options say who may see the page and what they may do. Either Auth or Public is needed.
type Options struct {
	// Auth reports whether a request may see the page. It is called for every request except to healthz, and must be safe for
	// concurrent use. If it lets in who comes from this machine, it must look at the Host, too: a name of a foreign site may
	// lead here.
	Auth func(*http.Request) bool
	// Public shows the page to everybody who can reach it. Auth is not called then. In a network of your own that includes the sites that
	// its people visit, unless the page answers to its own name only, as in mux.Handle("status.internal/fprom/", page): a foreign name
	// may lead here.
	Public bool
	// Challenge is the header WWW-Authenticate for those whom Auth refuses, such as `Basic realm="fprom"`: a browser then asks for
	// a password. Default none: they get 403.
	Challenge string
	// Writable lets those who see the page redrive and drop dead letters. Requests from other sites are refused. For people who
	// may see but not act, make a second handler without it.
	Writable bool
	// Outbox is the outbox that the page shows. Default: the queue of the Tracker.
	Outbox fprom.Outbox
	// Open, if set, opens the outbox that the page shows, in place of Outbox. The page closes it after each read, and pauses: so a file
	// that only one process can open is free for its service, however often somebody asks for the page. There is one call at a time.
	Open func() (fprom.Outbox, error)
	// Name of the service, shown at the top. Default none.
	Name string
	// OldestAge is how long an event may wait before the page and readyz report a problem. Default 2 h: a sale of a customer whom
	// FirstPromoter does not know yet waits for an hour (fprom.RetryConfig.NotFound).
	OldestAge time.Duration
	// RequestsPerMinute is the limit of the account, drawn as a line. Default: the Tracker's, else 400, which is
	// FirstPromoter's.
	RequestsPerMinute int
	// Compared, if set, returns the last comparison with FirstPromoter, for the page and status.json; see Comparison. It must be
	// safe for concurrent use, and return at once.
	Compared func() Comparison
}

func (o Options) withDefaults() (Options, error) {
	o.OldestAge = cmp.Or(o.OldestAge, verdict.OldestAge)
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

	opened   chan struct{} // full while Options.Open's outbox is open, and for a pause after it
	mu       sync.Mutex    // held while the outbox is read: simultaneous requests share one read
	last     snapshot
	trail    trail
	redriven time.Time // of the last redrive by this page
}

// Handler returns the status page of t. t may be nil: with Options.Outbox or Open the page then shows an outbox without its
// service, as "fprom page" does; otherwise it says that nothing is tracked, as in development. The error is a
// *fprom.ValidationError that names the field of o.
func Handler(t *fprom.Tracker, o Options) (http.Handler, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	o.RequestsPerMinute = cmp.Or(o.RequestsPerMinute, t.Stats().RequestsPerMinute, 400)
	return &page{Options: o, tracker: t, cross: http.NewCrossOriginProtection(), opened: make(chan struct{}, 1)}, nil
}
