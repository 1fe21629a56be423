package fprom

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
)

// Hook is for writing adapters, together with Exchange. Applications use the Middleware of an adapter instead.
// One Hook serves all requests; it is safe for concurrent use. Use Wrap for frameworks on net/http, and Begin for others.
type Hook struct {
	tracker     *Tracker // if the Enqueuer has another type: a Tracker that only puts events into it and logs
	success     func(status int) bool
	failClosed  bool
	refID       bool
	warnedRefID atomic.Bool // the warning about an unused cookie was logged
}

// NewHook returns the Hook of an adapter. If t is nil, or a nil *Tracker, events are validated and then dropped.
func NewHook(t Enqueuer, opts ...MiddlewareOption) *Hook {
	h := &Hook{success: func(status int) bool { return status < http.StatusBadRequest }}
	if h.tracker, _ = t.(*Tracker); h.tracker == nil {
		cfg := Config{Logger: slog.Default(), Queue: foreign{Enqueuer: t}}
		if t == nil || t == (*Tracker)(nil) {
			cfg = Config{Logger: slog.New(slog.DiscardHandler), Queue: foreign{}}
		}
		h.tracker = &Tracker{cfg: cfg, dedupe: newDedupe(cfg)}
	}
	for _, o := range opts {
		o(h)
	}
	return h
}

// foreign makes a Queue of an Enqueuer that is no Tracker. It is a Limiter, so that the Tracker on this Queue remembers no event:
// that Tracker never learns the outcomes.
type foreign struct {
	Queue
	Limiter
	Enqueuer // nil: events are dropped
}

func (f foreign) Put(ctx context.Context, ms ...Message) error {
	if f.Enqueuer == nil {
		return nil
	}
	events := make([]Event, len(ms))
	for i, m := range ms {
		events[i], _ = m.Event() // cannot fail: record made m of an event
	}
	return f.Enqueue(ctx, events...)
}

// Wrap begins the recording of one net/http request. Give the handler the Writer and the Request of the Exchange in place of
// w and r. They are never reused for another request, so both may outlive the handler. The example is a whole adapter.
func (h *Hook) Wrap(w http.ResponseWriter, r *http.Request) *Exchange {
	x := &Exchange{hook: h, w: w, outer: r}
	x.inner = *r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	_, limited := r.Context().Deadline()
	x.heldBack = limited && reaches(w, func(w http.ResponseWriter) bool { return fmt.Sprintf("%T", w) == "*http.timeoutWriter" })
	if h.failClosed && w != nil {
		x.before = w.Header().Clone()
	}
	return x
}

// Begin is Wrap for a framework that is not on net/http. ctx is the request's context. header must have the request's Cookie
// lines, and may have more. The Exchange has no Writer: the adapter says what the status is, and answers 503 itself. The
// example is a whole adapter.
func (h *Hook) Begin(ctx context.Context, header http.Header) *Exchange {
	return h.Wrap(nil, (&http.Request{Header: header}).WithContext(ctx))
}
