package fprom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/fprom-go/fprom/internal/safelog"
)

// Recording is for writing adapters (see Hook). It holds the events that one request recorded until the request has
// succeeded or failed. Call Commit when the status is known, Finish when the handler has returned, and Close in any case,
// all on the goroutine that serves the request. Record may be called from any goroutine.
type Recording struct {
	hook     *Hook
	ctx      context.Context //nolint:containedctx // the request's, with the Recording in it
	cookies  http.Header
	heldBack bool // an http.TimeoutHandler holds the response back until the handler returns, and may answer 503 instead
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
	handlerRefused // WithFailClosed made the response a 503: what the handler writes is thrown away
)

type recordingKey struct{}

// Context returns the request's context, with which Record works.
func (r *Recording) Context() context.Context { return r.ctx }

// Commit says which status the response has, before it leaves for the client. The first final status decides. If it is a
// success, the events recorded so far are accepted now, in one call of Enqueue: all or none, within a second. Later ones
// are accepted in Finish. An informational status (1xx except 101) decides nothing. The error is always nil without
// WithFailClosed. With it, an error means that the events were not accepted, and that the response must be a 503 instead
// (Exchange.Refuse).
//
// Inside an http.TimeoutHandler the events are accepted in Finish, except with WithFailClosed: it holds the response back
// until the handler returns, and may answer 503 in its place.
func (r *Recording) Commit(status int) error {
	if status/100 == 1 && status != http.StatusSwitchingProtocols {
		return nil
	}
	if status < http.StatusOK || !r.hook.success(status) {
		r.Discard(nil)
		r.reason = nil // the client sees the failure
	}
	if r.decision != undecided {
		return nil
	}
	r.decision = handlerSucceeded
	if r.heldBack && !r.hook.failClosed {
		return nil
	}
	return r.store(false)
}

// Discard says that the handler failed, whatever its status. It does nothing after Commit has decided. Give a reason if the
// client may see a success all the same: then discarded events are logged as a warning, with the reason in Step.Err, unless
// Commit is called later with the status of a failure. With a nil reason the client sees the failure.
func (r *Recording) Discard(reason error) {
	if r.decision == undecided {
		r.decision, r.reason = handlerFailed, reason
	}
}

// Finish says that the handler returned normally. If Commit found a success, the events recorded since are accepted.
func (r *Recording) Finish() {
	if r.decision == handlerSucceeded {
		_ = r.store(true)
	}
}

// Reasons to discard the events of a handler that may have sent a success.
var (
	errTooLate  = errors.New("fprom: the request's deadline passed before the handler returned: an http.TimeoutHandler has answered 503, unless a middleware inside it has set a shorter deadline; set such a deadline outside of the TimeoutHandler, and report the event by hand if the customer has paid")
	errPanicked = errors.New("fprom: the handler sent a success, but did not return normally")
)

// Close ends the recording: events that were not accepted are discarded. Defer it, since the handler may panic.
func (r *Recording) Close() {
	if r.decision == handlerSucceeded && !r.heldBack {
		r.reason = errPanicked
	}
	r.report(StageDiscarded, r.take(true), r.reason)
}

// take removes the recorded events and returns them. With last, no event can be recorded any more.
func (r *Recording) take(last bool) []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events, r.closed = nil, r.closed || last
	return events
}

// store enqueues the events in one call: all or none. If they cannot be stored, they are lost, unless WithFailClosed can
// still refuse the request. With last, the response has left, and no event can be recorded any more.
func (r *Recording) store(last bool) error {
	if r.heldBack && errors.Is(r.ctx.Err(), context.DeadlineExceeded) {
		r.decision, r.reason = handlerFailed, errTooLate
		return nil
	}
	events := r.take(last)
	if len(events) == 0 {
		return nil
	}
	err := r.enqueue(events)
	switch {
	case err == nil:
	case errors.Is(err, ErrConflict): // the others are stored, and a redelivery would have the same conflict
		if r.hook.tracker == nil { // a Tracker has logged it
			r.hook.reporter.say(r.ctx, slog.LevelError, "NOT TRACKED: an event of the handler is refused; the others are stored", safelog.Error(err))
		}
	case r.hook.failClosed && !last:
		r.decision = handlerRefused
		err = fmt.Errorf("fprom: the request is answered with 503: %w", err)
		r.report(StageDiscarded, events, err)
		return err
	default:
		r.report(StageLost, events, err)
	}
	return nil
}

// enqueue returns a panic as an error, since the customer has paid.
func (r *Recording) enqueue(ms []Message) error {
	ctx := context.WithoutCancel(r.ctx)
	return r.hook.reporter.guard(ctx, "Enqueue", func() error {
		if t := r.hook.tracker; t != nil {
			return t.enqueue(ctx, ms)
		}
		events := make([]Event, len(ms))
		for i, m := range ms {
			events[i], _ = m.Event() // cannot fail: record made m of an event
		}
		bounded, cancel := context.WithTimeout(ctx, putTimeout)
		defer cancel()
		return r.hook.enqueuer.Enqueue(bounded, events...)
	})
}

func (r *Recording) report(stage Stage, events []Message, err error) {
	for _, m := range events {
		r.hook.reporter.observe(r.ctx, Step{Stage: stage, Message: m, Err: err})
	}
}

// errReturned is Record's error after the handler has returned.
var errReturned = fmt.Errorf("fprom: the handler has returned, nothing is recorded; use Enqueue in the background: %w", ErrNoMiddleware)

// record adds events, all or none. It refuses an id that this request has recorded, or the Tracker delivered, with another
// amount. A conflict that only the queue knows is found when the event is accepted.
func (r *Recording) record(events []Event) error {
	visitor := r.attribution()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.events
	for _, e := range events {
		m, err := newMessage(e, visitor)
		if err != nil {
			return err
		}
		same := slices.IndexFunc(all, func(before Message) bool { return before.Key == m.Key })
		conflict := same >= 0 && all[same].Digest != m.Digest
		if t := r.hook.tracker; t != nil && same < 0 {
			_, conflict = t.dedupe.check(m)
		}
		switch {
		case conflict:
			r.report(StageConflict, []Message{m}, ErrConflict)
			return &ConflictError{Keys: []string{m.Key}}
		case same < 0:
			all = append(all, m)
		}
	}
	switch {
	case r.closed:
		return errReturned
	case r.hook.enqueuer != nil: // else the events are dropped
		r.events = all
	}
	return nil
}
