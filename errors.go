package fprom

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom/internal/backlog"
)

var (
	// ErrClosed is wrapped by the error of Enqueue and Track after Shutdown has begun.
	ErrClosed = errors.New("fprom: the tracker is shut down")
	// ErrQueueFull is returned by Put of a queue that is bounded and has no place left; Enqueue wraps it. Nothing was stored.
	ErrQueueFull = errors.New("fprom: the queue is full; make it larger (NewMemoryQueue) or use a durable one (boltqueue)")
	// ErrUnauthorized is wrapped by the error of a call that FirstPromoter answered with 401 or 403.
	ErrUnauthorized = errors.New("fprom: FirstPromoter refused the API key or the account id; check Config.APIKey ($FIRSTPROMOTER_API_KEY: a key of API version 2) and Config.AccountID ($FIRSTPROMOTER_ACCOUNT_ID); a new value needs a restart; if FirstPromoter accepts the old one again, delivery goes on by itself")
	// ErrCircuitOpen is wrapped by Track's error while the circuit breaker lets no call through. Nothing was sent.
	ErrCircuitOpen = errors.New("fprom: the circuit breaker is open after repeated failures of FirstPromoter")
	// ErrPaused is wrapped by Track's error while the account is paused (429, a refused key, a wrong endpoint) and ctx
	// ends before the pause does. Nothing was sent.
	ErrPaused = errors.New("fprom: delivery is paused")
	// ErrNoMiddleware is returned by Record if its context does not come from a handler wrapped by an adapter's Middleware, or
	// if the handler has returned. Nothing is recorded.
	ErrNoMiddleware = errors.New("fprom: nothing is recorded outside of a wrapped handler, or after it has returned: wrap the handler with the Middleware of an adapter and pass the request's context (in Gin, Echo and Fiber use the adapter's own Record); in the background use Tracker.Enqueue")
	// ErrNoTracker is returned by the methods of a nil *Tracker.
	ErrNoTracker = errors.New("fprom: the tracker is nil: nothing is tracked")
	// ErrQueueClosed is returned by the methods of a Queue after Close, and wrapped by New's error if Config.Queue is closed.
	ErrQueueClosed = errors.New("fprom: the queue is closed; open a new one")
	// ErrQueueInUse is wrapped by New's error if another Tracker delivers from Config.Queue, and returned by a second Run.
	ErrQueueInUse = backlog.ErrInUse
	// ErrNotDue is wrapped by the error of Flush if no remaining event is due before its context's deadline.
	ErrNotDue = backlog.ErrNotDue
	// ErrNoCredentials is New's error if both the API key and the account id are missing, in the Config and in the
	// environment. In development, go on with a nil *Tracker then: it drops everything. If only one of the two is missing,
	// the error is another *ValidationError.
	ErrNoCredentials error = &ValidationError{"Config.APIKey", "is missing, and so is Config.AccountID: set $FIRSTPROMOTER_API_KEY and $FIRSTPROMOTER_ACCOUNT_ID; in development go on with a nil *Tracker, which drops everything"}
	// ErrConflict is wrapped by the error of an event whose id is already used with another amount or currency. The event
	// that was stored first stays. The new one is not stored; the other events of the same call are.
	ErrConflict = errors.New("fprom: this event id is already used with another amount or currency; each payment needs an id of its own, not that of its subscription")
)

// ConflictError is the error of Put if stored events have the same keys and another amount or currency. It wraps
// ErrConflict. The other messages of the same Put are stored.
type ConflictError struct {
	Keys []string // Message.Key of the messages that were not stored
}

func (e *ConflictError) Error() string {
	return ErrConflict.Error() + ": " + SafeKey(cmp.Or(e.Keys...))
}

// Unwrap returns ErrConflict.
func (e *ConflictError) Unwrap() error { return ErrConflict }

// ValidationError says which field of an event or of a Config is wrong, and why. It never contains the field's value.
type ValidationError struct {
	Field  string // name of the Go field, such as "EventID"
	Reason string
}

func (e *ValidationError) Error() string { return "fprom: " + e.Field + ": " + e.Reason }

// APIError is an answer that is not a success. The table in the package documentation says what each status means.
type APIError struct {
	StatusCode int
	Code       string        // FirstPromoter's "code", if any, such as "not_found"
	Message    string        // FirstPromoter's "message", shortened; empty for an answer that is not FirstPromoter's JSON
	RetryAfter time.Duration // the wait that a 429 or 503 asked for, clamped to 1 s–15 min; a minute for a 429 without one, else 0

	foreignURL string // the URL that was called, if the answer is not FirstPromoter's, but a proxy's for example
}

func (e *APIError) Error() string {
	s := strings.TrimSpace(strconv.Itoa(e.StatusCode) + " " + http.StatusText(e.StatusCode))
	switch {
	case e.Message != "":
		return s + ": " + e.Message
	case e.foreignURL != "" && e.StatusCode < 500 && e.RetryAfter == 0:
		return s + ": " + e.foreignURL + " gave no answer of FirstPromoter's API; check Config.BaseURL ($FIRSTPROMOTER_API_URL; the default is " + DefaultBaseURL + ") and any proxy between"
	}
	return s
}

// UndeliveredError is returned by Shutdown if the queue is not durable and is not empty. This is normal: a sale whose referral
// FirstPromoter does not know waits for up to an hour (RetryConfig.NotFound), so a deploy may often leave one.
type UndeliveredError struct {
	Events []Event // oldest first. NewMessage turns one into a Message, which JSON can store; Message.Event turns it back
}

func (e *UndeliveredError) Error() string {
	var names []string
	for _, ev := range e.Events[:min(5, len(e.Events))] {
		m, _ := NewMessage(ev)
		names = append(names, SafeKey(m.Key))
	}
	return fmt.Sprintf("fprom: shut down with undelivered events: %d (the first: %s); store UndeliveredError.Events and enqueue them at the next start, or use a durable queue (boltqueue)", len(e.Events), strings.Join(names, ", "))
}

// IsPermanent reports whether sending the event again cannot help: FirstPromoter rejected it, the Tracker gave it up, it is not
// valid, or its event id is used with another amount. A queue keeps such an event as a dead letter.
func IsPermanent(err error) bool {
	if d, ok := errors.AsType[*deliveryError](err); ok {
		return d.class == classRejected
	}
	if _, invalid := errors.AsType[*ValidationError](err); invalid || errors.Is(err, ErrConflict) {
		return true
	}
	a, ok := errors.AsType[*APIError](err)
	return ok && a.foreignURL == "" && ruleOf(a.StatusCode, fromFirstPromoter, "").class == classRejected
}

// IsSetAside reports whether a queue must let the later events of the customer pass, while it keeps the event: the event has
// failed alone for an hour and is no sign-up of the last week, or it is a sale before its last attempt by
// RetryConfig.NotFound, whose sign-up may come later, or a refund whose sale waits. If nothing succeeds at all, one event an
// hour that is no sign-up is set aside too, since perhaps only a later event can succeed.
func IsSetAside(err error) bool {
	d, ok := errors.AsType[*deliveryError](err)
	return ok && d.aside
}

// IsHeld reports whether the attempt does not count: the account is paused (429, a refused key, a wrong endpoint), FirstPromoter
// is busy (503 with Retry-After), the delivery was interrupted, the sale of a refund waits, or "no such referral" may have come too
// early (RetryConfig.NotFound). A queue keeps such an event without counting an attempt.
func IsHeld(err error) bool {
	d, ok := errors.AsType[*deliveryError](err)
	return ok && d.held()
}

// deliveryError is what a queue gets for an event that is not done.
type deliveryError struct {
	verdict
	retry RetryConfig
}

func (e *deliveryError) Error() string { return e.err.Error() }
func (e *deliveryError) Unwrap() error { return e.err }
