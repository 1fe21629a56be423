package fprom

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
)

// Exchange is for adapters (see Hook). It is the Recording of a net/http request, with the request and the ResponseWriter
// that the handler gets in place of the original ones. Hook.Wrap makes it.
type Exchange struct {
	Recording

	w     http.ResponseWriter
	outer *http.Request
	inner http.Request // a copy of outer with the Recording's context

	before http.Header // w's at Wrap; only with WithFailClosed
}

// Request is the request for the handler: Record works with its context. It is a copy, so what the handler or a mux writes
// into it is not in the original, except for Pattern (see Close). What http.Request.PathValue gives in the handler cannot
// be read from the original.
func (x *Exchange) Request() *http.Request { return &x.inner }

// Writer is the ResponseWriter for the handler. It calls Commit before the status leaves, and has Unwrap. It has Flush
// where the original has it, and Push where it has both; Hijack and ReadFrom are always there, because what lies below
// Unwrap would pass Commit by, and answer http.ErrNotSupported or copy where the original has none. Frameworks that need a
// richer type wrap their own around the calls to Commit, Discard and Refuse.
func (x *Exchange) Writer() http.ResponseWriter {
	w := (*writer)(x)
	_, flush := x.w.(http.Flusher)
	_, push := x.w.(http.Pusher)
	switch {
	case flush && push: // HTTP/2
		return pushWriter{flushWriter{w}}
	case flush:
		return flushWriter{w}
	default:
		return w
	}
}

// Commit is Recording.Commit. Where http.TimeoutHandler holds the response back until the handler returns, and may still
// answer 503 in its place, the events are accepted in Finish; with WithFailClosed they are accepted here all the same.
func (x *Exchange) Commit(status int) error {
	if x.pending() && x.inTimeoutHandler() {
		if x.timedOut() {
			x.Discard(nil) // the client got 503
		}
		if !x.hook.failClosed {
			x.decide(status)
			return nil
		}
	}
	return x.Recording.Commit(status)
}

// Finish says that the handler returned normally. If it wrote nothing, its status is 200.
func (x *Exchange) Finish() {
	(*writer)(x).commit(http.StatusOK)
	if x.pending() && x.timedOut() && x.inTimeoutHandler() {
		x.decision = handlerFailed
	}
	x.Recording.Finish()
}

// Close ends the recording, and does for the original request what was done with the handler's: its Pattern is the route
// that a mux below has found, for middlewares outside that name requests by it; and the temporary files of a multipart form
// are removed, since the server removes only those of the original.
func (x *Exchange) Close() {
	x.Recording.Close()
	x.outer.Pattern = x.inner.Pattern
	if f := x.inner.MultipartForm; f != nil && f != x.outer.MultipartForm {
		_ = f.RemoveAll() // as the server does
	}
}

// timedOut reports whether the request's time is over. If an http.TimeoutHandler set it, the client got 503, and what the
// handler says now is thrown away.
func (x *Exchange) timedOut() bool { return errors.Is(x.ctx.Err(), context.DeadlineExceeded) }

// inTimeoutHandler reports whether an http.TimeoutHandler is around, and nothing between hides it.
func (x *Exchange) inTimeoutHandler() bool {
	if _, ok := x.ctx.Deadline(); !ok {
		return false
	}
	for w := x.w; ; {
		if fmt.Sprintf("%T", w) == "*http.timeoutWriter" {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

// Refuse answers 503 in place of the handler's response, after Commit has returned an error. Of the header only what was
// there at Wrap stays, such as a request id: the rest described the other response.
func (x *Exchange) Refuse() {
	header := x.w.Header()
	clear(header)
	maps.Copy(header, x.before)
	header.Set("Retry-After", "10")
	http.Error(x.w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}
