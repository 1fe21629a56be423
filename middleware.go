package fprom

import "context"

// Enqueuer accepts events for delivery. *Tracker is one.
type Enqueuer interface {
	// Enqueue returns nil if all events are stored as safely as the queue promises. An error that wraps ErrConflict means
	// that an event id is already used with another amount; then the other events are stored. With any other error no event
	// is stored, or perhaps all if ctx ended. Return when ctx ends: in a middleware after a second, not with the request.
	Enqueue(ctx context.Context, events ...Event) error
}

// Record notes events in a handler that an adapter's Middleware wraps. They are sent to FirstPromoter if the handler
// succeeds, and dropped if it fails (see WithSuccess). ctx is the request's context or one derived from it. Record is safe
// for concurrent use.
//
// Call it before the first byte of the response: then the events are accepted before the client sees the success. Events
// that are recorded later are accepted when the handler returns.
//
// An empty TID of a Sale or Signup is filled in from the visitor's cookies, and an empty RefID with WithRefIDCookie. If no
// promoter brought the visitor, a Signup has neither, and is refused: record it only if AttributionFrom knows one.
//
// On an error no event of the call is recorded. The error is a *ValidationError if an event is wrong. It wraps ErrConflict if
// this process knows an event id with another amount, and ErrNoMiddleware if ctx does not come from a wrapped handler, or if
// the handler has returned.
func Record(ctx context.Context, events ...Event) error {
	if ctx != nil {
		if x, _ := ctx.Value(exchangeKey{}).(*Exchange); x != nil {
			return x.record(events) //nolint:contextcheck // the Exchange has the request's
		}
	}
	return ErrNoMiddleware
}

// MiddlewareOption changes what an adapter's Middleware does: WithFailClosed, WithRefIDCookie, WithSuccess.
type MiddlewareOption func(*Hook)

// WithSuccess says which final status (200 or more) is a success. Default, also for nil: every status below 400. A handler
// that panics, hijacks its connection or exceeds the time of an http.TimeoutHandler has failed in any case.
func WithSuccess(success func(status int) bool) MiddlewareOption {
	return func(h *Hook) {
		if success != nil {
			h.success = success
		}
	}
}

// WithFailClosed is for webhooks. If an event cannot be accepted, the response is a 503 instead of the handler's, and the
// provider delivers again. Header fields that an outer middleware has set stay. It works for events that are recorded
// before the first byte of the response. An event id that is already used with another amount (ErrConflict) does not cause a
// 503, since delivering again would not help. Default: the response does not change, and the event is reported as lost
// (StageLost).
func WithFailClosed() MiddlewareOption { return func(h *Hook) { h.failClosed = true } }

// WithRefIDCookie also fills in RefID, from the cookie _fprom_ref that CaptureReferral sets. Without it CaptureReferral earns
// nobody a commission. A visitor can set that cookie to any promoter's id. Default: only TID is filled in, from _fprom_tid.
func WithRefIDCookie() MiddlewareOption { return func(h *Hook) { h.refID = true } }
