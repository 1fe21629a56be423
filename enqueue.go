package fprom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// putTimeout bounds how long Enqueue waits for the queue, for all its events together.
const putTimeout = time.Second

// Enqueue accepts events for delivery, all or none, and returns when the queue has stored them. It never waits for
// FirstPromoter, and at most a second for the queue. It uses only the values of ctx, which may have ended. nil means that each
// event will be delivered, or that an event with its id was accepted or delivered before.
//
// If an event id is already used with another amount or currency, the error is a *ConflictError, which wraps ErrConflict,
// and the other events are stored. With any other error nothing is stored: a *ValidationError, ErrQueueFull, ErrClosed,
// ErrNoTracker, or an error of the queue. Only if the second ends or a disk or database fails, all may be stored: enqueue again.
func (t *Tracker) Enqueue(ctx context.Context, events ...Event) error {
	if t == nil {
		return ErrNoTracker
	}
	ms := make([]Message, len(events))
	for i, e := range events {
		var err error
		if ms[i], err = NewMessage(e); err != nil {
			return err
		}
	}
	_, err := t.enqueue(ctx, ms)
	return err
}

// enqueue stores ms, whose memory it reuses. It returns those that the queue did not take, without the conflicts.
func (t *Tracker) enqueue(ctx context.Context, ms []Message) (lost []Message, err error) {
	if len(ms) == 0 {
		return nil, nil
	}
	if !t.accepting.TryRLock() { // Shutdown has begun
		return ms, fmt.Errorf("%w: %s", ErrClosed, SafeKey(ms[0].Key))
	}
	defer t.accepting.RUnlock()
	fresh, conflicts := ms[:0], []Message(nil)
	digests := map[string]uint64{} // of fresh
	for _, m := range ms {
		k := t.dedupe.look(m.Key)
		repeat, conflict := k.delivered != "", k.conflicts(m, false)
		if digest, again := digests[m.Key]; again {
			repeat, conflict = digest == m.Digest, digest != m.Digest
		}
		switch {
		case conflict:
			conflicts = append(conflicts, m)
		case repeat:
			t.counts.update(func(s *Stats) { s.Known++ })
			t.say(ctx, slog.LevelDebug, "a repeat: an event with this id was accepted before", "event", SafeKey(m.Key))
		default:
			fresh, digests[m.Key] = append(fresh, m), m.Digest
		}
	}
	if len(fresh) > 0 {
		if conflicts, err = t.put(ctx, fresh, conflicts); err != nil {
			lost, err = fresh, fmt.Errorf("fprom: %s was not stored: %w", SafeKey(fresh[0].Key), err)
		}
	}
	var keys []string
	for _, m := range conflicts {
		keys = append(keys, m.Key)
		t.observe(ctx, Step{Stage: StageConflict, Message: m, Err: ErrConflict})
	}
	if err == nil && keys != nil {
		err = &ConflictError{Keys: keys}
	}
	return lost, err
}

// put stores ms in the queue. It adds to conflicts those whose ids the queue knows with another amount.
func (t *Tracker) put(ctx context.Context, ms, conflicts []Message) ([]Message, error) {
	bounded := ctx
	if _, quick := t.cfg.Queue.(*memoryQueue); !quick { // the queue in memory never waits
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
		defer cancel()
	}
	conflict, keys := false, []string(nil)
	err := t.guard(ctx, "the Queue or Enqueuer", func() error { // a method of its error may panic, too
		err := t.cfg.Queue.Put(bounded, ms...)
		if c, ok := errors.AsType[*ConflictError](err); ok {
			keys = c.Keys
		}
		if conflict = errors.Is(err, ErrConflict); conflict {
			return nil
		}
		return err
	})
	named := func(m Message) bool { return slices.Contains(keys, m.Key) }
	unnamed := !slices.ContainsFunc(ms, named) // then perhaps all are conflicts
	t.counts.update(func(s *Stats) { s.PutError = shortText(err) })
	stored := func(m Message) bool { return err == nil && (!conflict || !unnamed && !named(m)) }
	if _, shared := t.cfg.Queue.(Limiter); !shared { // else another process may give an event up, which frees its id
		t.dedupe.stored(ms, stored)
	}
	for _, m := range ms { // ms is not changed: the queue may keep it
		switch {
		case stored(m):
			t.observe(ctx, Step{Stage: StageEnqueued, Message: m})
		case conflict:
			conflicts = append(conflicts, m)
		}
	}
	return conflicts, err
}
