package fprom

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Reasons to discard the events of a handler that may have sent a success.
var (
	errTooLate  = errors.New("fprom: the request's deadline passed before the handler returned: an http.TimeoutHandler has answered 503, unless a middleware inside it has set a shorter deadline; set such a deadline outside of the TimeoutHandler, and report the event by hand if the customer has paid")
	errHijacked = errors.New("fprom: the handler took the connection over, so its status is unknown; report such an event with Enqueue")
	errPanicked = errors.New("fprom: the handler sent a success, but did not return normally")
)

// take removes the recorded events and returns them. If last is true, no event can be recorded any more.
func (x *Exchange) take(last bool) []Message {
	x.mu.Lock()
	defer x.mu.Unlock()
	events := x.events
	x.events, x.closed = nil, x.closed || last
	return events
}

// store enqueues the events in one call: all or none. If they cannot be stored, they are lost, unless WithFailClosed can still
// refuse the request. If last is true, the response has left, and no event can be recorded any more.
func (x *Exchange) store(last bool) error {
	if x.heldBack && errors.Is(x.outer.Context().Err(), context.DeadlineExceeded) { // the handler can replace inner's
		x.decision, x.reason = handlerFailed, errTooLate
		return nil
	}
	lost, err := x.hook.tracker.enqueue(x.inner.Context(), x.take(last))
	if lost == nil || last || !x.hook.failClosed { // a conflict is no loss: it would come again with a redelivery
		x.report(StageLost, lost, err)
		return nil
	}
	x.decision = handlerRefused
	err = fmt.Errorf("fprom: the request is answered with 503: %w", err)
	x.report(StageDiscarded, lost, err)
	return err
}

func (x *Exchange) report(stage Stage, events []Message, err error) {
	for _, m := range events {
		x.hook.tracker.observe(x.inner.Context(), Step{Stage: stage, Message: m, Err: err})
	}
}

// record adds events, all or none. It refuses an id that this request or the Tracker knows with another amount. A conflict
// that only the queue knows is found when the event is accepted.
func (x *Exchange) record(events []Event) error {
	visitor := x.attribution()
	var conflicts []Message
	defer func() { x.report(StageConflict, conflicts, ErrConflict) }() // without the lock: the Observer is foreign code
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.events
	for _, e := range events {
		m, err := newMessage(e, visitor)
		if err != nil {
			return err
		}
		if x.hook.tracker.dedupe.look(m.Key).conflicts(m, true) || slices.ContainsFunc(all, func(before Message) bool { return before.Key == m.Key && before.Digest != m.Digest }) {
			conflicts = []Message{m}
			return &ConflictError{Keys: []string{m.Key}}
		}
		all = append(all, m)
	}
	if x.closed {
		return ErrNoMiddleware
	}
	x.events = all
	return nil
}
