package fprom

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// attempt is one attempt to deliver a message, with the verdict so far.
type attempt struct {
	Message
	verdict
	queued bool            // the queue makes it, not Track
	tried  bool            // an earlier attempt got no outcome
	known  known           // what this process knows of the event id; the answer changes failure and notFound
	needs  string          // "sale" for a refund whose sale may be on its way; else empty
	open   context.Context //nolint:containedctx // ends when the gate shuts
	waited time.Duration   // at the gate
	woken  chan struct{}   // tells it to look at the gate again
}

// newAttempt returns an attempt that fails unless it gets another verdict.
func newAttempt(m Message, queued bool) *attempt {
	return &attempt{Message: m, verdict: transient(fmt.Errorf("fprom: %s: %w", SafeKey(m.Key), safelog.ErrRecovered)), queued: queued}
}

// deliver is what the queue calls for each message. Its error says what to do with it. After a panic the event is kept.
func (t *Tracker) deliver(ctx context.Context, m Message) (Result, error) {
	a := newAttempt(m, true)
	_ = t.guard(ctx, "the delivery", func() error { t.send(ctx, a); return nil })
	if a.class == classDone {
		return a.Result, nil
	}
	return a.Result, &deliveryError{a.verdict, t.cfg.Retry}
}

// send takes an attempt through the stages: dedupe → gate → client. The verdict goes back through them.
func (t *Tracker) send(ctx context.Context, a *attempt) {
	defer t.report(ctx, a)
	if t.saleWaits(ctx, a) || !t.dedupe.beginSend(ctx, a) {
		return
	}
	defer t.dedupe.endSend(a) // also after a panic
	began := time.Now()
	if err := t.enter(ctx, a); err != nil {
		a.unsent(err)
		return
	}
	a.waited = time.Since(began)
	t.post(ctx, a)
	t.conclude(ctx, a)
}

// enter waits at the gate, then for the limit that the queue shares with other processes. If the gate shuts meanwhile, this
// second wait must end without taking a call, and the attempt waits at the gate once more. Nothing enters after Shutdown.
func (t *Tracker) enter(ctx context.Context, a *attempt) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.running, cancel)() //nolint:contextcheck // it only ends the wait
	for {
		err := t.gate.enter(ctx, a)
		if t.running.Err() != nil { // also if the end of ctx came too late
			err = ErrClosed
		}
		q, shared := t.cfg.Queue.(Limiter)
		if err != nil || !shared {
			return err
		}
		open, cancel := context.WithCancel(ctx)   // ended by a.open, or with enter
		stop := context.AfterFunc(a.open, cancel) //nolint:contextcheck // it only ends the wait
		err = t.guard(ctx, "the Queue's Admit", func() error { return q.Admit(open, t.cfg.RequestsPerMinute) })
		stop()
		if a.open.Err() == nil {
			return err
		}
	}
}

// post makes the call. If the queue makes the attempt, the call may outlive the queue's ctx, until Shutdown cuts it short.
func (t *Tracker) post(ctx context.Context, a *attempt) {
	if a.queued {
		ctx = t.calls //nolint:contextcheck // ends only with cut
	}
	t.counts.called()
	_ = t.guard(ctx, "the transport", func() error { a.verdict = t.client.post(ctx, a.Message); return nil })
}

func (a *attempt) unsent(err error) {
	a.class, a.err = classUnknown, fmt.Errorf("fprom: %s was not sent: %w", SafeKey(a.Key), err)
}

// conclude tells the gate and the other processes about the answer, and completes the verdict.
func (t *Tracker) conclude(ctx context.Context, a *attempt) {
	pause := t.gate.answered(a)
	breaker, _, _ := t.gate.state()
	if open := breaker != "closed"; t.logbook.breakerOpen.Swap(open) != open {
		t.say(ctx, slog.LevelDebug, "the circuit breaker is "+breaker)
	}
	// A pause after a suspected answer is not shared: the event may be at fault, and each process finds out on its own.
	if q, ok := t.cfg.Queue.(Limiter); ok && pause > 0 && a.class != classSuspected {
		tell := func() error { return q.Pause(context.WithoutCancel(ctx), pause, a.err) }
		if err := t.guard(ctx, "the Queue's Pause", tell); err != nil {
			t.say(ctx, slog.LevelWarn, "cannot tell the other processes about the pause", safelog.Error(err))
		}
	}
	switch {
	case a.Outcome == NotReferral:
		t.askAgain(a)
	case a.Outcome == Duplicate && a.warn == "" && !a.Bulk && eventID(a.Message) != "" && !a.tried && !a.RecordedAt.Before(t.began):
		a.warn = warnFirst
	}
}
