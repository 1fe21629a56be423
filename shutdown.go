package fprom

import (
	"context"
	"errors"
	"fmt"
)

// Flush returns nil when every event accepted before the call has an outcome or is a dead letter. It returns an error that
// wraps ErrNotDue as soon as none of those that are left is due before ctx's deadline (a sale whose referral FirstPromoter
// does not know is open for an hour, RetryConfig.NotFound), and ctx's error when ctx ends. Give ctx a deadline: an outage
// has no end of its own. Flush of a nil *Tracker returns nil.
func (t *Tracker) Flush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.queue.Flush(ctx); err != nil {
		return fmt.Errorf("fprom: flush: %w", err)
	}
	return nil
}

// Shutdown stops accepting events, delivers what is queued and due until ctx ends, stops the workers and closes the queue.
// What is left then stays in a durable queue for the next process, and the error is nil; of a queue in memory it is returned
// in an *UndeliveredError. A queue that is shared with other processes (a Limiter) is not drained: they go on with it, and a
// rolling restart need not wait for everybody's backlog. Give ctx a deadline: a long backlog takes its time under the rate
// limit. An attempt that is under way may end before ctx does, then it is cut short; a durable queue sends its event again,
// and the event id makes that safe. Further calls wait for the same end or their own ctx, whose error they return; the
// earliest ctx to end cuts the drain short. Shutdown of a nil *Tracker returns nil.
func (t *Tracker) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.shutdown.Do(func() { t.ended = t.end(ctx) })
	return t.ended
}

func (t *Tracker) end(ctx context.Context) error {
	t.accepting.Lock() // waits for the events that are being stored
	t.closed = true
	t.accepting.Unlock()

	if _, shared := t.queue.(Limiter); !shared {
		if err := t.Flush(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrNotDue) {
			t.log.Error("fprom: the queue could not be drained", "error", err)
		}
	}
	t.stop()
	<-t.ran

	var errs []error
	if q, ok := t.queue.(UndeliveredLister); ok {
		if left := eventsOf(q.Undelivered()); len(left) > 0 {
			errs = append(errs, &UndeliveredError{Events: left})
		}
	}
	if err := t.queue.Close(); err != nil {
		errs = append(errs, fmt.Errorf("fprom: close the queue: %w", err))
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
