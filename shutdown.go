package fprom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// Flush returns nil when every event accepted before the call has an outcome or is a dead letter. When the
// rest is due only after ctx's deadline, Flush does not wait for it and returns an error that wraps ErrNotDue: a
// sale whose referral FirstPromoter does not know is sent again for an hour (RetryConfig.NotFound), and in a pause of the
// account nothing is due. When ctx ends, Flush returns its error. Give ctx a deadline: an outage may last. Flush of a nil
// *Tracker returns nil.
func (t *Tracker) Flush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if deadline, ok := ctx.Deadline(); ok {
		go func() {
			until, same := t.gate.shutUntil()
			for ; !until.After(deadline); until, same = t.gate.shutUntil() {
				if sleepOr(waiting, time.Hour, same.Done()) != nil {
					return
				}
			}
			cancel(fmt.Errorf("%w: the account is paused, or the circuit breaker open, for longer", ErrNotDue))
		}()
	}
	if err := t.guard(ctx, "the Queue's Flush", func() error { return t.cfg.Queue.Flush(waiting) }); err != nil {
		return fmt.Errorf("fprom: flush: %w", cmp.Or(ctx.Err(), context.Cause(waiting), err))
	}
	return nil
}

// cutGrace is how long Shutdown waits for the end of attempts that it has cut short.
const cutGrace = 3 * time.Second

// Shutdown stops accepting events, delivers the events that are due before ctx's deadline, stops the workers and closes
// the queue. A durable queue keeps the rest for the next process, and the error is nil. The queue in memory returns the rest
// in an *UndeliveredError. A queue that is shared with other processes (a Limiter) is not drained: they go on with it, and a
// rolling restart need not wait for everybody's backlog. An attempt under way may go on until ctx ends, then it is cut short;
// a durable queue sends its event again, and the event id makes that safe.
//
// Give ctx a deadline: the rate limit makes a long backlog slow. Without one, Shutdown waits until all events are done: up to an
// hour for a sale whose referral FirstPromoter does not know (RetryConfig.NotFound), and in an outage until it ends. If there
// are several calls, the first ctx that ends cuts the shutdown short for all, and all return the same error. If a transport or
// a queue has not stopped three seconds after ctx has ended, Shutdown returns ctx's error and the rest. Shutdown of a nil
// *Tracker returns nil.
func (t *Tracker) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	t.shutdown.Do(func() { go t.drainAndClose(ctx) })
	late := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		t.cut()
		time.AfterFunc(cutGrace, func() { close(late) })
	})()
	select {
	case <-t.ended:
		return t.endErr
	case <-late:
		return errors.Join(fmt.Errorf("fprom: shutdown: a delivery or the queue has not ended: %w", ctx.Err()), t.undelivered(ctx))
	}
}

func (t *Tracker) drainAndClose(ctx context.Context) {
	defer close(t.ended)
	t.accepting.Lock() // waits for the events that are being stored; never unlocked

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.calls, cancel)() //nolint:contextcheck // another Shutdown's ctx has ended
	if _, shared := t.cfg.Queue.(Limiter); !shared {
		if q, _ := t.queueStats(); q.Pending+q.Bulk > 0 { //nolint:contextcheck // it has a time limit of its own
			t.say(ctx, slog.LevelInfo, "shutdown: delivering the events that are due before the deadline of ctx (if it has none, all events); a durable queue keeps the others for the next start", "waiting", q.Pending+q.Bulk)
		}
		if err := t.Flush(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, ErrNotDue) {
			t.say(ctx, slog.LevelError, "the queue could not be drained", safelog.Error(err))
		}
	}
	t.stop()
	t.runs.Wait()

	undelivered := t.undelivered(ctx)
	closing := t.guard(ctx, "the Queue's Close", t.cfg.Queue.Close)
	if closing != nil {
		closing = fmt.Errorf("fprom: close the queue: %w", closing)
	}
	t.endErr = errors.Join(undelivered, closing)
	if isPointer(t.cfg.Queue) {
		queuesInUse.Delete(t.cfg.Queue)
	}
	t.client.closeIdle()
}

// undelivered returns an *UndeliveredError if the queue does not outlive the process and has events left.
func (t *Tracker) undelivered(ctx context.Context) error {
	return t.guard(ctx, "the Queue's Undelivered", func() error {
		left := &UndeliveredError{}
		if q, ok := t.cfg.Queue.(UndeliveredLister); ok {
			for _, m := range q.Undelivered() {
				e, _ := m.Event() // cannot fail, since NewMessage made m
				left.Events = append(left.Events, e)
			}
		}
		if len(left.Events) == 0 {
			return nil
		}
		return left
	})
}
