package fprom

import (
	"context"
	"net/http"
	"reflect"
	"sync/atomic"
)

// Enqueuer accepts events for delivery. *Tracker is one.
type Enqueuer interface {
	// Enqueue returns nil if e is stored as safely as the queue promises. ctx does not end with the request.
	Enqueue(ctx context.Context, e Event) error
}

// Record notes events in a handler that an adapter's Middleware wraps: they are sent to FirstPromoter if the handler
// succeeds, and not if it fails (see WithSuccess). ctx is the request's context or one derived from it. Everything is
// validated at once: if one event is wrong the error is its *ValidationError, and none of the call is recorded. The error
// is, or wraps, ErrNoMiddleware if ctx comes from no wrapped handler, or from one that has returned.
//
// An empty TID of a Sale or Signup is filled in from the visitor's cookies (RefID only with WithRefIDCookie). A Signup of
// a visitor whom no promoter brought has neither, and is refused: record it only if AttributionFrom knows one.
//
// Record before the first byte of the response: then the events are accepted before the client sees the success. What is
// recorded later is accepted when the handler returns. Record is safe for concurrent use.
func Record(ctx context.Context, events ...Event) error {
	if ctx == nil {
		return ErrNoMiddleware
	}
	r, _ := ctx.Value(recordingKey{}).(*Recording)
	if r == nil {
		return ErrNoMiddleware
	}
	return r.record(events)
}

// MiddlewareOption changes what an adapter's Middleware does.
type MiddlewareOption func(*Hook)

// WithSuccess replaces the rule which final status (200 to 999) is a success: status < 400. Whatever the rule, a handler
// that panics, hijacks its connection or runs into http.TimeoutHandler's limit has failed.
func WithSuccess(success func(status int) bool) MiddlewareOption {
	return func(h *Hook) { h.success = success }
}

// WithFailClosed is for webhooks: if an event cannot be accepted, the response is 503 instead of the handler's, so that
// the provider delivers again. It can only help for events recorded before the first byte of the response. Without it the
// response is untouched, and the event is reported as lost (StageLost).
func WithFailClosed() MiddlewareOption { return func(h *Hook) { h.failClosed = true } }

// WithRefIDCookie also takes the referral id of the cookie _fprom_ref, which a visitor can set to any promoter's id. The
// visitor id of _fprom_tid is always taken.
func WithRefIDCookie() MiddlewareOption { return func(h *Hook) { h.refID = true } }

// Hook is what every adapter's Middleware is made of: one for all requests, safe for concurrent use. Wrap is for
// frameworks on net/http, Begin for others.
type Hook struct {
	enqueuer   Enqueuer
	success    func(status int) bool
	failClosed bool
	refID      bool
	shape      atomic.Pointer[shape] // of the first ResponseWriter seen: usually there is one type
}

// NewHook returns the Hook of an adapter. If t is nil (also a nil *Tracker), events are validated and then dropped.
func NewHook(t Enqueuer, opts ...MiddlewareOption) *Hook {
	h := &Hook{enqueuer: t}
	if v := reflect.ValueOf(t); v.Kind() == reflect.Pointer && v.IsNil() {
		h.enqueuer = nil
	}
	for _, o := range opts {
		o(h)
	}
	return h
}

// succeeded is the verdict on a final status.
func (h *Hook) succeeded(status int) bool {
	switch {
	case status < http.StatusOK || status > 999:
		return false
	case h.success != nil:
		return h.success(status)
	default:
		return status < http.StatusBadRequest
	}
}

// Wrap begins the recording of one net/http request. Neither w nor r is changed; the handler gets Writer and Request.
// Both may outlive the handler, as net/http's do, and never become another request's.
//
// An adapter is these lines, and what its framework needs around them:
//
//	x := hook.Wrap(w, r)
//	defer x.Close()
//	next.ServeHTTP(x.Writer(), x.Request())
//	x.Finish()
func (h *Hook) Wrap(w http.ResponseWriter, r *http.Request) *Exchange {
	x := &Exchange{Recording: Recording{hook: h, parent: r.Context(), cookies: r.Header, formParsed: r.MultipartForm != nil}, w: w}
	x.inner = *r.WithContext((*scope)(&x.Recording)) //nolint:contextcheck // it is r's context, with the Recording
	return x
}

// Begin starts the recording of one request of a framework that is not on net/http. ctx is the request's context, header
// has the request's Cookie lines (and may have more). Otherwise as Wrap; the adapter learns the status itself:
//
//	rec := hook.Begin(ctx, http.Header{"Cookie": {line}})
//	defer rec.Close()
//	status := handle(rec.Context())
//	if rec.Commit(status) != nil {
//		status = http.StatusServiceUnavailable
//	}
//	rec.Finish()
func (h *Hook) Begin(ctx context.Context, header http.Header) *Recording {
	return &Recording{hook: h, parent: ctx, cookies: header}
}
