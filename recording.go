package fprom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
)

// Recording is what one request recorded and what becomes of it. Its methods are for the goroutine that serves the
// request; Record may be called from any. Commit, if the status is known before the handler returns, then Finish, and
// Close in any case.
type Recording struct {
	hook     *Hook
	ctx      context.Context //nolint:containedctx // the request's, with the Recording in it
	cookies  http.Header
	decision decision

	mu     sync.Mutex
	events []Event // guarded by mu: recorded, and not taken yet
	closed bool    // guarded by mu: the handler has returned, and nothing can be recorded any more
}

// decision is what Commit or Discard decided.
type decision uint8

const (
	undecided decision = iota
	handlerFailed
	handlerSucceeded
	handlerRefused // failed, because WithFailClosed made it a 503: what the handler writes is thrown away
)

type recordingKey struct{}

func (r *Recording) begin(h *Hook, ctx context.Context, header http.Header) {
	r.hook, r.ctx, r.cookies = h, context.WithValue(ctx, recordingKey{}, r), header
}

// Context is the request's context in which Record works.
func (r *Recording) Context() context.Context { return r.ctx }

// Format prints no header of the request, whatever the verb: contexts are printed, and this one is in them.
func (*Recording) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "fprom.Recording") }

// Commit tells the status of the response before it leaves for the client. The first final one decides: on success the
// events recorded so far are accepted now, and those that follow in Finish. An informational status (1xx except 101)
// decides nothing. The error is nil except with WithFailClosed: then the events could not be accepted, and the response
// must be a 503 instead (Refuse).
func (r *Recording) Commit(status int) error {
	if !r.decide(status) {
		return nil
	}
	err := r.store(r.take(false), r.hook.failClosed)
	if err != nil {
		r.decision = handlerRefused
	}
	return err
}

// decide reports whether status is the first final one, and a success.
func (r *Recording) decide(status int) bool {
	if r.decision != undecided || status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		return false
	}
	r.decision = handlerFailed
	if r.hook.succeeded(status) {
		r.decision = handlerSucceeded
	}
	return r.decision == handlerSucceeded
}

// Discard decides that the handler failed, whatever its status, unless Commit decided before.
func (r *Recording) Discard() {
	if r.decision == undecided {
		r.decision = handlerFailed
	}
}

// Finish says that the handler returned normally. If Commit found a success, what was recorded since is accepted.
func (r *Recording) Finish() {
	events := r.take(true)
	if r.decision == handlerSucceeded {
		_ = r.store(events, false) // the response has left: store reports what is lost
	} else {
		r.drop(events, nil)
	}
}

// Close ends the recording; after Finish it does nothing. Defer it: if the handler panics, the events that Commit did
// not accept are discarded.
func (r *Recording) Close() { r.drop(r.take(true), nil) }

// take returns what was recorded since it was called before. After the last one nothing can be recorded any more.
func (r *Recording) take(last bool) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events, r.closed = nil, r.closed || last
	return events
}

// pending reports whether take would return something.
func (r *Recording) pending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events) > 0
}

// store enqueues all it can. With refuse the request fails if one is left, otherwise that one is lost.
func (r *Recording) store(events []Event, refuse bool) error {
	var failed error
	for _, e := range events {
		err := r.hook.enqueuer.Enqueue(context.WithoutCancel(r.ctx), e)
		switch {
		case err == nil:
		case refuse:
			failed = errors.Join(failed, err)
			r.drop([]Event{e}, err)
		default:
			r.report(StageLost, e, err)
		}
	}
	if failed != nil {
		return fmt.Errorf("fprom: not accepted, the request is answered with 503: %w", failed)
	}
	return nil
}

// drop reports events of a request that failed.
func (r *Recording) drop(events []Event, err error) {
	for _, e := range events {
		r.report(StageDiscarded, e, err)
	}
}

// report tells the Tracker's log, counters and Observer; another Enqueuer has only the log.
func (r *Recording) report(stage Stage, e Event, err error) {
	m, _ := NewMessage(e) // cannot fail: record validated e
	if t, ok := r.hook.enqueuer.(interface{ observe(context.Context, Step) }); ok {
		t.observe(context.WithoutCancel(r.ctx), Step{Stage: stage, Message: m, Err: err})
		return
	}
	if stage == StageLost {
		slog.ErrorContext(context.WithoutCancel(r.ctx), "fprom: an event could not be stored and is lost", "event", m.name(), "error", err)
		return
	}
	slog.InfoContext(context.WithoutCancel(r.ctx), "fprom: an event is discarded because the request failed", "event", m.name(), "error", err)
}

// errReturned is Record's error when the handler that ctx belongs to has returned.
var errReturned = fmt.Errorf("fprom: the handler has returned, nothing is recorded; use Enqueue in the background: %w", ErrNoMiddleware)

// record adds events, all or none.
func (r *Recording) record(events []Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.events
	for _, e := range events {
		e, err := r.complete(e)
		if err != nil {
			return err
		}
		all = append(all, e)
	}
	switch {
	case r.closed:
		return errReturned
	case r.hook.enqueuer == nil: // validated, and dropped
		return nil
	}
	r.events = all
	return nil
}

// complete returns a copy of e with what the cookies say, validated.
func (r *Recording) complete(e Event) (Event, error) {
	switch e := e.(type) {
	case Sale:
		r.attribute(&e.TID, &e.RefID)
		return e, e.Validate()
	case Signup:
		r.attribute(&e.TID, &e.RefID)
		return e, e.Validate()
	case Refund, Cancellation:
		return e, e.Validate()
	default:
		return nil, errNoEvent
	}
}

// attribute fills in what the caller left empty.
func (r *Recording) attribute(tid, refID *string) {
	a := attributionOf(r.cookies)
	if *tid == "" {
		*tid = a.TID
	}
	if *refID == "" && r.hook.refID {
		*refID = a.RefID
	}
}
