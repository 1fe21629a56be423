package fprom

import (
	"errors"
	"maps"
	"net/http"
	"sync"
)

// Exchange is for writing adapters (see Hook). It is one request with the events that its handler records, until the request
// has succeeded or failed. Call Commit when the status is known (Writer does it), Finish when the handler has returned, and
// Close in any case, all on the goroutine that serves the request. Record may be called from any goroutine.
type Exchange struct {
	hook     *Hook
	w        http.ResponseWriter // nil if Begin made the Exchange
	outer    *http.Request
	inner    http.Request // a copy of outer with a context in which Record finds the Exchange
	before   http.Header  // the header fields that were set before Wrap; only with WithFailClosed
	heldBack bool         // an http.TimeoutHandler holds the response back until the handler returns, and may answer 503 instead
	decision decision
	reason   error // why events are discarded, if the client may see a success

	mu     sync.Mutex
	events []Message // guarded by mu: recorded, and neither stored nor discarded yet
	closed bool      // guarded by mu: the handler has returned, so no event can be recorded any more
}

type decision uint8

const (
	undecided decision = iota
	handlerFailed
	handlerSucceeded
	handlerRefused // WithFailClosed made the response a 503: the writes of the handler are thrown away
)

type exchangeKey struct{}

// Request returns the request for the handler; Record works with its context. It is a copy: the original does not get what
// the handler or a mux writes into it, such as path values, except for what Close copies.
func (x *Exchange) Request() *http.Request { return &x.inner }

// Writer returns the ResponseWriter for the handler. It calls Commit before the status leaves. It has Flush if the original
// or what it unwraps to has it. Hijack, Push, ReadFrom and Unwrap are always there; if the original has no Hijack or Push, they
// return http.ErrNotSupported. An adapter of a framework that needs a richer type calls Commit, Discard and Refuse itself.
func (x *Exchange) Writer() http.ResponseWriter {
	flushes := func(w http.ResponseWriter) bool { _, ok := w.(http.Flusher); return ok }
	if reaches(x.w, flushes) {
		return flushWriter{writer{x}}
	}
	return writer{x}
}

// Commit says which status the response has, before it leaves for the client. The first final status decides. If it is a
// success, the events recorded so far are accepted now, in one call of Enqueue: all or none, within a second. Later ones
// are accepted in Finish. An informational status (1xx except 101) decides nothing. The error is always nil without
// WithFailClosed. With it, an error means that the events were not accepted, and that the response must be a 503 instead
// (see Refuse).
//
// Inside an http.TimeoutHandler the events are accepted in Finish, except with WithFailClosed: the TimeoutHandler holds the
// response back until the handler returns, and may answer 503 in its place.
func (x *Exchange) Commit(status int) error {
	switch {
	case status == http.StatusSwitchingProtocols:
		x.Discard(errHijacked)
	case status/100 == 1:
		return nil
	case status < http.StatusOK || !x.hook.success(status):
		x.Discard(nil)
		if !errors.Is(x.reason, errHijacked) { // after that nobody sees the status
			x.reason = nil // the client sees the failure
		}
	}
	if x.decision != undecided {
		return nil
	}
	x.decision = handlerSucceeded
	if x.heldBack && !x.hook.failClosed {
		return nil
	}
	return x.store(false)
}

// commit reports whether the handler's response may leave; otherwise Refuse has answered.
func (x *Exchange) commit(status int) bool {
	if x.Commit(status) != nil {
		x.Refuse()
	}
	return !x.Refused()
}

// Refused reports whether Commit has returned an error, so that the response is a 503 instead of the handler's.
func (x *Exchange) Refused() bool { return x.decision == handlerRefused }

// Refuse answers 503 in place of the handler's response; call it when Commit has returned an error. It keeps only the header
// fields that were set before Wrap, such as a request id: the others described the handler's response.
func (x *Exchange) Refuse() {
	header := x.w.Header()
	clear(header)
	maps.Copy(header, x.before)
	header.Set("Retry-After", "10")
	http.Error(x.w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}

// Discard says that the handler failed, whatever its status. It does nothing after Commit has decided. Give a reason if the
// client may see a success all the same: then discarded events are logged as a warning, with the reason in Step.Err, unless
// Commit is called later with the status of a failure. With a nil reason the client sees the failure.
func (x *Exchange) Discard(reason error) {
	if x.decision == undecided {
		x.decision, x.reason = handlerFailed, reason
	}
}

// Finish says that the handler returned normally. If it wrote nothing to the Writer, its status is 200. If Commit found a
// success, the events recorded since are accepted.
func (x *Exchange) Finish() {
	if x.w != nil {
		x.commit(http.StatusOK)
	}
	if x.decision == handlerSucceeded {
		_ = x.store(true)
	}
}

// Close ends the Exchange: events that were not accepted are discarded. Defer it, since the handler may panic. It also copies
// to the original request the Pattern, so that middlewares outside see the route that a mux below has found, and the
// MultipartForm, so that the server removes its temporary files.
func (x *Exchange) Close() {
	if x.decision == handlerSucceeded && !x.heldBack {
		x.reason = errPanicked
	}
	x.report(StageDiscarded, x.take(true), x.reason)
	if in, out := &x.inner, x.outer; in.Pattern != out.Pattern || in.MultipartForm != out.MultipartForm {
		out.Pattern, out.MultipartForm = in.Pattern, in.MultipartForm // only a change: the server may be done with a request that a handler still has
	}
}
