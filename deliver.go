package fprom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// deliver is what the queue calls for each message; its error tells the queue what to do with it. A panic in it is
// foreign code's or a fault of ours: the event is kept.
func (t *Tracker) deliver(ctx context.Context, m Message) (Result, error) {
	v := transient(errRecovered)
	_ = t.guard(ctx, "the delivery of "+SafeKey(m.Key), func() error {
		v = t.attempt(ctx, m, true)
		t.report(ctx, m, v, true)
		return nil
	})
	if v.class == classDone {
		return v.Result, nil
	}
	return v.Result, &deliveryError{v, t.cfg.Retry}
}

// attempt takes m through the stages: dedupe → failing → gate → pace → client, and its verdict back through them. queued
// attempts wait at an open breaker; the others fail there.
func (t *Tracker) attempt(ctx context.Context, m Message, queued bool) verdict {
	repeat, err := t.dedupe.begin(ctx, m, queued)
	switch {
	case errors.Is(err, ErrConflict):
		t.observe(ctx, Step{Stage: StageConflict, Message: m, Err: ErrConflict})
		return verdict{Result: Result{Outcome: Rejected}, class: classRejected, err: err}
	case err != nil:
		return unsent(m, err)
	case repeat:
		return verdict{Result: Result{Outcome: Duplicate}}
	}
	v := verdict{class: classUnknown}
	defer func() { t.dedupe.finish(m, queued, v.class) }() // a panic must not keep the claim
	var s standing
	if queued {
		var wait time.Duration
		if s, wait = t.failing.enter(m); wait > 0 {
			v = unsent(m, errOthersFirst)
			v.wait = wait
			return v
		}
		defer t.failing.leave(s)
	}
	for again := true; again; {
		v, again = t.try(ctx, m, queued, s)
	}
	return v
}

// try waits for leave to send m, sends it, and says what follows from the answer. What it took is given back however it
// ends. again: while this event waited for the limit, the answer to another one shut the gate.
func (t *Tracker) try(ctx context.Context, m Message, queued bool, s standing) (v verdict, again bool) {
	p, err := t.gate.enter(ctx, queued, s.tried)
	if err != nil {
		return unsent(m, err), false
	}
	defer t.gate.leave(p)
	asked := time.Now()
	if err := t.pace(ctx, m.Bulk, p); err != nil {
		return unsent(m, err), false
	}
	waited := time.Since(asked)
	if !t.gate.begin(p) {
		return v, true
	}
	v = t.post(ctx, m, queued)
	v.waited = waited
	switch { // where others were answered since it is this event's alone
	case s.suspect && v.class == classUnauthorized:
		v.class = classSuspected
	case s.suspect && v.class == classBusy:
		v.class = classTransient
	}
	t.conclude(ctx, p, m, queued, s, &v)
	return v, false
}

// pace waits for this process's limit, then for the one it shares with others, if the queue has one. An attempt that is no
// longer valid must not take from that, nor keep a probe waiting that stands in line behind it: it leaves the line when the
// gate is shut, which is no error.
func (t *Tracker) pace(ctx context.Context, bulk bool, p *pass) error {
	open, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.good, cancel)() //nolint:contextcheck // the pass is the gate's, and only ends the wait
	wait := t.limit.wait
	if bulk {
		wait = t.limit.waitSpare
	}
	err := wait(open)
	if q, ok := t.cfg.Queue.(Limiter); ok && err == nil && t.gate.begin(p) {
		err = t.guard(ctx, "the Queue's Admit", func() error { return q.Admit(open, t.cfg.RequestsPerMinute) })
	}
	if open.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// post sends m. A queued attempt goes on when the queue's ctx ends, until Shutdown cuts it.
func (t *Tracker) post(ctx context.Context, m Message, queued bool) verdict {
	if queued {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(t.calls, cancel)() //nolint:contextcheck // calls is the Tracker's, and only ends the attempt
	}
	var v verdict
	if err := t.guard(ctx, "the transport", func() error { v = t.client.post(ctx, m); return nil }); err != nil {
		v = transient(fmt.Errorf("fprom: %s: %w", SafeKey(m.Key), err)) // nothing is known of the attempt
		v.sent = true
	}
	if v.sent {
		t.counts.called()
	}
	return v
}

func unsent(m Message, err error) verdict {
	if !errors.Is(err, ErrCircuitOpen) {
		err = fmt.Errorf("fprom: %s was not sent: %w", SafeKey(m.Key), err)
	}
	return verdict{Result: Result{Outcome: Undelivered}, class: classUnknown, held: true, err: err}
}

// conclude ends an attempt: what its verdict means for the account, and for an event that can be tried again.
func (t *Tracker) conclude(ctx context.Context, p *pass, m Message, queued bool, s standing, v *verdict) {
	pause := t.gate.answered(p, m, s, v)
	// Refused events may be at fault themselves: each process finds out on its own.
	if q, ok := t.cfg.Queue.(Limiter); ok && pause > 0 && v.class != classSuspected {
		tell := func() error { return q.Pause(context.WithoutCancel(ctx), pause, v.err) }
		if err := t.guard(ctx, "the Queue's Pause", tell); err != nil {
			t.say(ctx, slog.LevelWarn, "the pause could not be told to the other processes", safelog.Error(err))
		}
	}
	if v.good() {
		t.failing.succeeded(m.Key)
	}
	switch {
	case v.Outcome == NotReferral:
		t.askAgain(m, queued, v)
	case queued && v.class >= classTransient && v.class < classThrottled:
		t.failing.failed(m, v)
	}
}

// askAgain puts off a NotReferral that may have come too early (RetryConfig.NotFound).
func (t *Tracker) askAgain(m Message, queued bool, v *verdict) {
	early := v.class == classAskAgain || attributed(m)
	if v.class = classDone; !queued || !early {
		return
	}
	age := time.Since(m.RecordedAt)
	if age < 0 { // the clock was ahead when it was recorded, and may have been by years
		age = min(-age, time.Since(t.client.began))
	}
	for _, at := range t.cfg.Retry.NotFound {
		if age < at {
			v.class, v.held, v.wait = classAskAgain, true, at-age
			v.err = fmt.Errorf("fprom: %s: FirstPromoter knows no such referral yet: asked again in %v", SafeKey(m.Key), v.wait.Round(time.Second))
			return
		}
	}
}

func attributed(m Message) bool {
	e, err := m.Event()
	sale, ok := e.(Sale)
	return err == nil && ok && sale.TID+sale.RefID+sale.PromoCode != ""
}

// report turns the verdict of an attempt into a step. A failure of Track is no step: whether it is repeated is the caller's
// business.
func (t *Tracker) report(ctx context.Context, m Message, v verdict, queued bool) {
	s := Step{Message: m, Result: v.Result, Err: v.err, Elapsed: v.elapsed, Waited: v.waited, verdict: &v}
	switch {
	case v.class == classDone:
		s.Stage = StageDelivered
	case v.class == classRejected:
		s.Stage = StageDead
	case v.class == classUnknown:
		return
	case v.paused:
		s.Stage = StagePaused
	case !queued:
		return
	default:
		s.Stage = StageRetry
	}
	t.observe(ctx, s)
}
