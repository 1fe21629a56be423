package fprom

import "context"

// Enqueuer accepts events for delivery. *Tracker is one.
type Enqueuer interface {
	// Enqueue returns nil if all events are stored as safely as the queue promises. An error that wraps ErrConflict means
	// that an event id is already used with another amount; the other events are stored then. With any other error none
	// is. ctx does not end with the request.
	Enqueue(ctx context.Context, events ...Event) error
}

// Record notes events in a handler that an adapter's Middleware wraps: they are sent to FirstPromoter if the handler
// succeeds, and not if it fails (see WithSuccess). ctx is the request's context or one derived from it. Everything is
// validated at once: if one event is wrong the error is its *ValidationError, and none of the call is recorded. An event id
// that this process knows with another amount is an error that wraps ErrConflict. The error
// is, or wraps, ErrNoMiddleware if ctx comes from no wrapped handler, or from one that has returned.
//
// An empty TID of a Sale or Signup is filled in from the visitor's cookies (RefID only with WithRefIDCookie). A Signup of a
// visitor whom no promoter brought has neither, and is refused: record it only if AttributionFrom knows one.
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

// MiddlewareOption changes what an adapter's Middleware does: WithFailClosed, WithRefIDCookie, WithSuccess.
type MiddlewareOption func(*Hook)

// WithSuccess replaces the rule which final status (200 to 999) is a success: status < 400. Whatever the rule, a handler
// that panics, hijacks its connection or runs into http.TimeoutHandler's limit has failed.
func WithSuccess(success func(status int) bool) MiddlewareOption {
	return func(h *Hook) { h.success = success }
}

// WithFailClosed is for webhooks: if an event cannot be accepted, the response is 503 instead of the handler's, so that
// the provider delivers again; what a middleware outside has put into its header stays. An event id that is already used
// with another amount (ErrConflict) is no reason: delivering it again would not help. WithFailClosed can only help for events
// recorded before the first byte of the response. Without it the response is untouched, and the event is reported as lost
// (StageLost).
func WithFailClosed() MiddlewareOption { return func(h *Hook) { h.failClosed = true } }

// WithRefIDCookie also takes the referral id of the cookie _fprom_ref, which CaptureReferral sets, and which a visitor can
// set to any promoter's id. Without it CaptureReferral earns nobody a commission. The visitor id of _fprom_tid is always taken.
func WithRefIDCookie() MiddlewareOption { return func(h *Hook) { h.refID = true } }
