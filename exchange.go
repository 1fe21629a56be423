package fprom

import (
	"maps"
	"net/http"
)

// Exchange is for writing adapters (see Hook). It is the Recording of a net/http request, with the Request and the Writer
// that the handler gets in place of the original ones. Hook.Wrap makes it.
type Exchange struct {
	Recording

	w      http.ResponseWriter
	outer  *http.Request
	inner  http.Request // a copy of outer with the Recording's context
	before http.Header  // the header fields that were set before Wrap; only with WithFailClosed
}

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

// commit reports whether the handler's response may leave; otherwise Refuse has answered.
func (x *Exchange) commit(status int) bool {
	if x.Commit(status) != nil {
		x.Refuse()
	}
	return x.decision != handlerRefused
}

// Finish says that the handler returned normally. If it wrote nothing, its status is 200.
func (x *Exchange) Finish() {
	x.commit(http.StatusOK)
	x.Recording.Finish()
}

// Close ends the recording, like Recording.Close. It also copies to the original request the Pattern, so that middlewares
// outside see the route that a mux below has found, and the MultipartForm, so that the server removes its temporary files.
func (x *Exchange) Close() {
	x.Recording.Close()
	x.outer.Pattern, x.outer.MultipartForm = x.inner.Pattern, x.inner.MultipartForm
}

// Refuse answers 503 in place of the handler's response; call it when Commit has returned an error. It keeps only the header
// fields that were set before Wrap, such as a request id: the others described the handler's response.
func (x *Exchange) Refuse() {
	header := x.w.Header()
	clear(header)
	maps.Copy(header, x.before)
	header.Set("Retry-After", "10")
	http.Error(x.w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}
