package fprom

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// putTimeout bounds how long Enqueue waits for the queue, for all its events together.
const putTimeout = time.Second

var errRecovered = errors.New("fprom: it panicked: see the log")

// Enqueue accepts events for delivery, all or none, and returns when the queue has stored them; it never waits for the
// network. nil means that each will be delivered, or that an event with its id was accepted or delivered before. It waits
// at most a second for the queue, whatever ctx says: ctx is for its values. Errors: *ValidationError, ErrQueueFull,
// ErrClosed, or the queue's; nothing is stored then. An event id that is already used with another amount or currency is a
// *ConflictError, which wraps ErrConflict; the other events are stored then.
func (t *Tracker) Enqueue(ctx context.Context, events ...Event) error {
	if t == nil {
		return ErrNoTracker
	}
	ms := make([]Message, len(events))
	for i, e := range events {
		m, err := NewMessage(e)
		if err != nil {
			return err
		}
		ms[i] = m
	}
	if len(ms) == 0 {
		return nil
	}
	t.accepting.RLock()
	defer t.accepting.RUnlock()
	if t.closed {
		return fmt.Errorf("%w: %s", ErrClosed, ms[0].name())
	}
	if t.observer != nil {
		ctx = context.WithoutCancel(ctx)
	}
	bounded := ctx
	if _, quick := t.queue.(*memoryQueue); !quick { // which never waits
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
		defer cancel()
	}
	first := ms[0]
	fresh, conflicts, err := t.dedupe.store(bounded, ms)
	if err != nil {
		return fmt.Errorf("fprom: %s was not stored: wait for the same event to be stored: %w", first.name(), err)
	}
	t.counts.known.Add(uint64(len(ms) - len(fresh) - len(conflicts)))
	if len(fresh) > 0 {
		var more []Message
		if more, err = t.put(bounded, fresh); err != nil {
			return fmt.Errorf("fprom: %s was not stored: %w", first.name(), err)
		}
		conflicts = append(conflicts, more...)
	}
	return t.accepted(ctx, fresh, conflicts)
}

// put stores what was claimed, and ends the claims.
func (t *Tracker) put(ctx context.Context, fresh []Message) (conflicts []Message, err error) {
	err = errRecovered
	t.guard(ctx, "the Queue's Put", func() { err = t.queue.Put(ctx, fresh...) })
	c, conflict := errors.AsType[*ConflictError](err)
	if conflict = conflict || errors.Is(err, ErrConflict); conflict {
		err = nil
	}
	t.counts.put(err)
	for _, m := range fresh {
		refused := conflict && (c == nil || slices.Contains(c.Keys, m.Key)) // an error without keys does not say which
		t.dedupe.stored(m, err == nil && !refused)
		if refused {
			conflicts = append(conflicts, m)
		}
	}
	return conflicts, err
}

// accepted tells what became of the messages.
func (t *Tracker) accepted(ctx context.Context, fresh, conflicts []Message) error {
	for _, m := range fresh {
		if !slices.ContainsFunc(conflicts, func(c Message) bool { return c.Key == m.Key && c.Digest == m.Digest }) {
			t.observe(ctx, Step{Stage: StageEnqueued, Message: m})
		}
	}
	if len(conflicts) == 0 {
		return nil
	}
	err := &ConflictError{}
	for _, m := range conflicts {
		err.Keys = append(err.Keys, m.Key)
		t.observe(ctx, Step{Stage: StageConflict, Message: m, Err: ErrConflict})
	}
	return err
}

// canBeKey reports whether two queues that are equal are the same.
func canBeKey(q Queue) bool { return reflect.TypeOf(q).Kind() == reflect.Pointer }
