package fprom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Recording is what one request recorded and what becomes of it. Its methods are for the goroutine that serves the
// request; Record may be called from any. Commit, if the status is known before the handler returns, then Finish, and
// Close in any case.
type Recording struct {
	hook    *Hook
	parent  context.Context //nolint:containedctx // scope makes a context of it
	cookies http.Header

	mu         sync.Mutex
	events     []Event      // guarded by mu
	pending    atomic.Int32 // number of recorded events; closed if the handler has returned
	decision   decision
	formParsed bool // Exchange: before Wrap, so that its files are the server's to remove
}

// recordingClosed in Recording.pending: nothing can be recorded any more. Set without mu only if there is nothing.
const recordingClosed = -1

// decision is what Commit or Discard decided.
type decision uint8

const (
	undecided decision = iota
	handlerFailed
	handlerSucceeded
	handlerRefused // failed, because WithFailClosed made it a 503: what the handler writes is thrown away
)

type recordingKey struct{}

// scope is the request's context with the Recording in it; detached is the one of accepted events. They share the
// Recording's memory.
type (
	scope    Recording
	detached Recording
)

// Deadline, Done, Err and Value implement context.Context.
func (s *scope) Deadline() (time.Time, bool) { return s.parent.Deadline() }
func (s *scope) Done() <-chan struct{}       { return s.parent.Done() }
func (s *scope) Err() error                  { return s.parent.Err() }
func (s *scope) Value(key any) any {
	if _, ok := key.(recordingKey); ok {
		return (*Recording)(s)
	}
	return s.parent.Value(key)
}

// Deadline, Done, Err and Value implement context.Context as context.WithoutCancel does.
func (*detached) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*detached) Done() <-chan struct{}       { return nil }
func (*detached) Err() error                  { return nil }
func (d *detached) Value(key any) any         { return d.parent.Value(key) }

// Context is the request's context in which Record works.
func (r *Recording) Context() context.Context { return (*scope)(r) }

// Commit tells the status of the response before it leaves for the client. The first final one decides: on success the
// events recorded so far are accepted now, and those that follow in Finish. An informational status (1xx except 101)
// decides nothing. The error is nil except with WithFailClosed: then the events could not be accepted, and the response
// must be a 503 instead (Refuse).
func (r *Recording) Commit(status int) error {
	if !r.decide(status) || r.pending.Load() == 0 {
		return nil
	}
	err := r.store(r.take(0), r.hook.failClosed)
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
	if r.decision == handlerSucceeded {
		_ = r.store(r.take(recordingClosed), false) // the response has left: store reports what is lost
	}
	r.Close()
}

// Close ends the recording; after Finish it does nothing. Defer it: if the handler panics, the events that Commit did
// not accept are discarded.
func (r *Recording) Close() {
	if r.pending.Load() != recordingClosed {
		r.drop(r.take(recordingClosed), nil)
	}
}

// take empties the recording; pending is 0 or closed afterwards.
func (r *Recording) take(pending int32) []Event {
	if r.pending.CompareAndSwap(0, pending) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending.Store(pending)
	events := r.events
	r.events = nil
	return events
}

// store enqueues all it can. With refuse the request fails if one is left, otherwise that one is lost.
func (r *Recording) store(events []Event, refuse bool) error {
	var failed error
	for _, e := range events {
		err := r.hook.enqueuer.Enqueue((*detached)(r), e)
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
		t.observe((*detached)(r), Step{Stage: stage, Message: m, Err: err})
		return
	}
	if stage == StageLost {
		slog.ErrorContext((*detached)(r), "fprom: an event could not be stored and is lost", "event", m.name(), "error", err)
		return
	}
	slog.InfoContext((*detached)(r), "fprom: an event is discarded because the request failed", "event", m.name(), "error", err)
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
	if r.hook.enqueuer == nil {
		all = nil
	}
	before := r.pending.Load()
	if before == recordingClosed || !r.pending.CompareAndSwap(before, int32(len(all))) {
		return errReturned
	}
	r.events = all
	return nil
}

// complete returns a copy of e with what the cookies say, validated. It makes no call through e, so that the caller's
// event need not be on the heap.
func (r *Recording) complete(e Event) (Event, error) {
	switch e := e.(type) {
	case Sale:
		r.attribute(&e.TID, &e.RefID)
		return e, e.Validate()
	case Refund:
		return e, e.Validate()
	case Signup:
		r.attribute(&e.TID, &e.RefID)
		return e, e.Validate()
	case Cancellation:
		return e, e.Validate()
	default:
		return nil, &ValidationError{"Event", "is not a Sale, Refund, Signup or Cancellation, passed by value"}
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
