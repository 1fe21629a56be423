package fprom

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// queueExtras are the optional methods of a Queue; nil where it has none.
type queueExtras struct {
	setWorkers  func(int)
	stats       func(context.Context) (QueueStats, error)
	flush       func(context.Context) error
	undelivered func() []Message
	closer      func() error
	admit       func(context.Context) error
	pause       func(context.Context, time.Duration, error) error
}

func extrasOf(q Queue) (x queueExtras) {
	if q, ok := q.(interface{ SetWorkers(int) }); ok {
		x.setWorkers = q.SetWorkers
	}
	if q, ok := q.(interface {
		Stats(context.Context) (QueueStats, error)
	}); ok {
		x.stats = q.Stats
	}
	if q, ok := q.(interface{ Flush(context.Context) error }); ok {
		x.flush = q.Flush
	}
	if q, ok := q.(interface{ Undelivered() []Message }); ok {
		x.undelivered = q.Undelivered
	}
	if q, ok := q.(interface{ Close() error }); ok {
		x.closer = q.Close
	}
	if q, ok := q.(interface{ Admit(context.Context) error }); ok {
		x.admit = q.Admit
	}
	if q, ok := q.(interface {
		Pause(context.Context, time.Duration, error) error
	}); ok {
		x.pause = q.Pause
	}
	return x
}

// Flush returns nil when every event accepted before the call has an outcome or is a dead letter, or ctx's error. Give
// ctx a deadline: an outage has no end of its own, and a sale whose referral FirstPromoter does not know is open for an
// hour (RetryConfig.NotFound). With a queue that has no Flush of its own it counts what this Tracker accepted and what was
// settled since New.
func (t *Tracker) Flush(ctx context.Context) error {
	if t == nil {
		return ErrNoTracker
	}
	var err error
	if t.extra.flush != nil {
		err = t.extra.flush(ctx)
	} else {
		err = t.counts.waitSettled(ctx)
	}
	if err != nil {
		return fmt.Errorf("fprom: flush: %w", err)
	}
	return nil
}

// Shutdown stops accepting events, delivers what is queued until ctx ends, stops the workers and closes the queue. What
// is left then stays in a durable queue for the next process, and the error is nil; of a queue in memory it is returned
// in an *UndeliveredError. A queue that is shared with other processes (it has Admit) is not drained: they go on with
// it, and a rolling restart need not wait for everybody's backlog. Give ctx a deadline: a long backlog takes its time
// under the rate limit, and a sale that is asked about again (RetryConfig.NotFound) is waited for like any other. An
// attempt that is under way when ctx ends is cut short; a durable queue sends its event again, and the event id makes
// that safe. No goroutine of the Tracker is left. Later calls return what the first did.
func (t *Tracker) Shutdown(ctx context.Context) error {
	if t == nil {
		return ErrNoTracker
	}
	t.shutdown.Do(func() { t.ended = t.end(ctx) })
	return t.ended
}

func (t *Tracker) end(ctx context.Context) error {
	t.accepting.Lock() // waits for the events that are being stored
	t.closed = true
	t.accepting.Unlock()

	if t.extra.admit == nil {
		if err := t.Flush(ctx); err != nil && !errors.Is(err, ctx.Err()) {
			t.log.Error("fprom: the queue could not be drained", "error", err)
		}
	}
	t.stop()
	<-t.ran

	var errs []error
	if t.extra.undelivered != nil {
		if left := eventsOf(t.extra.undelivered()); len(left) > 0 {
			errs = append(errs, &UndeliveredError{Events: left})
		}
	}
	if t.extra.closer != nil {
		if err := t.extra.closer(); err != nil {
			errs = append(errs, fmt.Errorf("fprom: close the queue: %w", err))
		}
	}
	t.client.closeIdle()
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func eventsOf(ms []Message) []Event {
	var events []Event
	for _, m := range ms {
		if e, err := m.Event(); err == nil { // Put took only what NewMessage made
			events = append(events, e)
		}
	}
	return events
}
