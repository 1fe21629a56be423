package fprom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
)

// Recording is for adapters (see Hook). It is what one request recorded and what becomes of it. Its methods are for the goroutine that serves the
// request; Record may be called from any. Commit, if the status is known before the handler returns, then Finish, and
// Close in any case.
type Recording struct {
	hook     *Hook
	ctx      context.Context //nolint:containedctx // the request's, with the Recording in it
	cookies  http.Header
	decision decision
	reason   error // Discard's

	mu     sync.Mutex
	events []Event // guarded by mu: recorded, and not taken yet
	one    [1]Event
	used   bool // one was used, and what was taken may still be in it
	closed bool // guarded by mu: the handler has returned, and nothing can be recorded any more
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
// decides nothing. All are accepted in one call of Enqueue, or none: a Tracker waits a second for its queue at most. The
// error is nil except with WithFailClosed: then the events could not be accepted, and the response must be a 503 instead
// (Exchange.Refuse).
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
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		return false
	}
	success := r.hook.succeeded(status)
	if !success {
		r.reason = nil // the client sees the failure
	}
	if r.decision != undecided {
		return false
	}
	r.decision = handlerFailed
	if success {
		r.decision = handlerSucceeded
	}
	return success
}

// Discard decides that the handler failed, whatever its status, unless Commit decided before. The reason is for a client
// that may see a success all the same: unless Commit is then called with another status, what is discarded is logged as a
// warning, with the reason in Step.Err. A nil reason says that the handler plainly failed.
func (r *Recording) Discard(reason error) {
	if r.decision == undecided {
		r.decision, r.reason = handlerFailed, reason
	}
}

// Finish says that the handler returned normally. If Commit found a success, what was recorded since is accepted.
func (r *Recording) Finish() {
	events := r.take(true)
	if r.decision == handlerSucceeded {
		_ = r.store(events, false) // the response has left: store reports what is lost
	} else {
		r.report(StageDiscarded, events, r.reason)
	}
}

// errPanicked is why something recorded after a success is discarded.
var errPanicked = errors.New("fprom: the handler did not return, but its success had left before")

// Close ends the recording; after Finish it does nothing. Defer it: if the handler panics, the events that Commit did
// not accept are discarded.
func (r *Recording) Close() {
	if r.decision == handlerSucceeded {
		r.reason = errPanicked
	}
	r.report(StageDiscarded, r.take(true), r.reason)
}

// take returns what was recorded since it was called before. After the last one nothing can be recorded any more.
func (r *Recording) take(last bool) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events, r.closed = nil, r.closed || last
	return events
}

// store enqueues events in one call, which stores all of them or none. With refuse the request fails if they are not
// stored, otherwise they are lost.
func (r *Recording) store(events []Event, refuse bool) error {
	if len(events) == 0 {
		return nil
	}
	err := r.enqueue(events)
	switch {
	case err == nil:
	case errors.Is(err, ErrConflict): // the others are stored, and sending the same again would help nobody
		r.conflict(err)
	case refuse:
		r.report(StageDiscarded, events, err)
		return fmt.Errorf("fprom: not accepted, the request is answered with 503: %w", err)
	default:
		r.report(StageLost, events, err)
	}
	return nil
}

// enqueue makes an error of a panic: the customer has paid.
func (r *Recording) enqueue(events []Event) (err error) {
	ctx := r.ctx
	if _, ok := r.hook.enqueuer.(*Tracker); !ok { // which does it itself
		ctx = context.WithoutCancel(ctx)
	}
	defer func() {
		if p := recover(); p != nil {
			slog.ErrorContext(ctx, "fprom: Enqueue panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("fprom: Enqueue panicked: %v", p)
		}
	}()
	return r.hook.enqueuer.Enqueue(ctx, events...)
}

// observing is a Tracker, also one that is embedded: it logs, counts and tells its Observer. Another Enqueuer has only
// the log.
type observing interface{ observe(context.Context, Step) }

// conflict logs what a Tracker has said already.
func (r *Recording) conflict(err error) {
	if _, ok := r.hook.enqueuer.(observing); !ok {
		slog.ErrorContext(r.ctx, "fprom: NOT TRACKED: an event id is used twice; each payment needs an id of its own", "error", err)
	}
}

// report says what becomes of events that are not stored.
func (r *Recording) report(stage Stage, events []Event, err error) {
	for _, e := range events {
		ctx := context.WithoutCancel(r.ctx)
		m, _ := NewMessage(e) // cannot fail: record validated e
		t, ok := r.hook.enqueuer.(observing)
		switch {
		case ok:
			t.observe(ctx, Step{Stage: stage, Message: m, Err: err})
		case stage == StageLost:
			slog.ErrorContext(ctx, "fprom: LOST: the request succeeded, but its event could not be stored; report it by hand", "event", m.name(), "error", err)
		case err != nil:
			slog.WarnContext(ctx, "fprom: what the handler recorded is not sent", "event", m.name(), "error", err)
		default:
			slog.DebugContext(ctx, "fprom: the handler failed: what it recorded is not sent", "event", m.name())
		}
	}
}

// errReturned is Record's error when the handler that ctx belongs to has returned.
var errReturned = fmt.Errorf("fprom: the handler has returned, nothing is recorded; use Enqueue in the background: %w", ErrNoMiddleware)

// record adds events, all or none.
func (r *Recording) record(events []Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.events
	if !r.used { // most requests record one event
		all, r.used = r.one[:0], true
	}
	for _, e := range events {
		e, err := r.complete(e)
		if err == nil {
			err = r.known(e)
		}
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

// known reports an event whose id a Tracker of this process knows with another amount. What only the queue knows is found
// when the event is accepted.
func (r *Recording) known(e Event) error {
	t, ok := r.hook.enqueuer.(*Tracker)
	if !ok || e.id() == "" {
		return nil
	}
	if !t.dedupe.conflicts(e.kind()+":"+e.id(), digest(e.money())) {
		return nil
	}
	return &ConflictError{Keys: []string{e.kind() + ":" + e.id()}}
}

// complete returns a copy of e with what the cookies say, validated.
func (r *Recording) complete(e Event) (Event, error) {
	switch e := e.(type) {
	case Sale:
		e.TID, e.RefID = r.attribute(e.TID, e.RefID)
		return e, e.Validate()
	case Signup:
		e.TID, e.RefID = r.attribute(e.TID, e.RefID)
		return e, e.Validate()
	case Refund, Cancellation:
		return e, e.Validate()
	default:
		return nil, errNoEvent
	}
}
