package fprom

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// deliver is what the queue calls for each message; its error tells the queue what to do with it. A panic in it is
// foreign code's or a fault of ours: the event is kept.
func (t *Tracker) deliver(ctx context.Context, m Message) (r Result, err error) {
	r, err = Result{Outcome: Undelivered}, &deliveryError{err: errRecovered, retry: t.retry}
	t.guard(ctx, "the delivery of "+m.name(), func() {
		v := t.attempt(ctx, m, true)
		t.report(ctx, m, v, true)
		r, err = v.Result, t.answer(v)
	})
	return r, err
}

// answer is what the queue is told of v.
func (t *Tracker) answer(v verdict) error {
	switch {
	case v.class == classDone:
		return nil
	case v.class == classRejected:
		return &deliveryError{err: v.err, permanent: true}
	case v.class == classAskAgain || v.class != classThrottled && v.wait > 0:
		return &deliveryError{err: v.err, held: v.held, aside: v.aside, wait: v.wait, exact: true}
	default:
		return &deliveryError{err: v.err, held: v.held, aside: v.aside, wait: v.wait, retry: t.retry}
	}
}

// attempt takes m through the stages: dedupe → failing → pause → breaker → pace → client, and its verdict back through
// them. queued attempts wait at an open breaker; the others fail there.
func (t *Tracker) attempt(ctx context.Context, m Message, queued bool) verdict {
	claim, err := t.dedupe.begin(ctx, m)
	switch {
	case err != nil:
		return unsent(m, err)
	case claim == conflicted:
		t.observe(ctx, Step{Stage: StageConflict, Message: m, Err: ErrConflict})
		return verdict{Result: Result{Outcome: Rejected}, class: classRejected, err: &ConflictError{Keys: []string{m.Key}}}
	case claim == repeated:
		return verdict{Result: Result{Outcome: Duplicate}}
	}
	v := verdict{class: classUnsent}
	defer func() { t.dedupe.finish(m, queued, v.class == classDone, v.class == classRejected) }() // a panic must not keep the claim
	v = t.admitAndPost(ctx, m, queued)
	return v
}

// admitAndPost waits for leave to send m, sends it, and says what follows from the answer.
func (t *Tracker) admitAndPost(ctx context.Context, m Message, queued bool) verdict {
	s, err := t.failing.enter(m.Key)
	if err != nil {
		return t.later(m, err)
	}
	defer t.failing.leave(s)
	for {
		v, again := t.try(ctx, m, queued, s)
		if !again {
			return v
		}
	}
}

// try is one round of admitAndPost. What it took is given back however it ends. again: while this event waited, the answer
// to another one paused the account or opened the breaker.
func (t *Tracker) try(ctx context.Context, m Message, queued bool, s standing) (v verdict, again bool) {
	ticket, err := t.pause.enter(ctx, queued && s.tried)
	if err != nil {
		return t.later(m, err), false
	}
	left := false
	defer func() {
		if !left {
			t.pause.leave(ticket)
		}
	}()
	pass, err := t.breaker.enter(ctx, queued, queued && s.tried)
	if err != nil {
		return t.later(m, err), false
	}
	defer pass.report(errExcluded) // if it was not reported before
	asked := time.Now()
	valid := func() bool { return t.pause.valid(ticket) && pass.valid() }
	if err := t.pace(ctx, m.Bulk, valid); err != nil {
		return t.later(m, err), false
	}
	waited := time.Since(asked)
	if !valid() {
		return v, true
	}
	pass.begin()
	v = t.post(ctx, m, queued)
	v.waited = waited
	if v.sent {
		t.counts.called()
	}
	pass.report(v.forBreaker(s))
	t.sayBreaker(ctx)
	left = true
	t.conclude(ctx, ticket, m, queued, s, &v)
	return v, false
}

// post sends m. A queued attempt goes on when the queue's ctx ends, until Shutdown cuts it.
func (t *Tracker) post(ctx context.Context, m Message, queued bool) verdict {
	if queued {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		defer context.AfterFunc(t.calls, cancel)() //nolint:contextcheck // calls is the Tracker's, and only ends the attempt
	}
	return t.client.post(ctx, m)
}

// pace waits for this process's limit, then for the one it shares with others, if the queue has one. An attempt that is no
// longer valid must not take from that: it may be the one probe of all processes.
func (t *Tracker) pace(ctx context.Context, bulk bool, valid func() bool) error {
	wait := t.limit.wait
	if bulk {
		wait = t.limit.waitSpare
	}
	if err := wait(ctx); err != nil {
		return err
	}
	if q, ok := t.queue.(Limiter); ok && valid() {
		return q.Admit(ctx, t.perMinute)
	}
	return nil
}

// sayBreaker logs that the breaker has changed.
func (t *Tracker) sayBreaker(ctx context.Context) {
	now := t.breaker.state()
	if before, ok := t.breakerSaid.Swap(now).(string); ok && before != now {
		t.guard(ctx, "the Logger", func() { t.log.DebugContext(ctx, "fprom: circuit breaker", "from", before, "to", now) })
	}
}

// forBreaker is what the breaker is told of v.
func (v verdict) forBreaker(s standing) error {
	switch {
	case v.class == classDone:
		return nil
	case v.class == classTransient && !s.suspect:
		return errFailure
	default:
		return errExcluded
	}
}

// later is the verdict on an attempt that was not made.
func (t *Tracker) later(m Message, err error) verdict {
	v := unsent(m, err)
	if n, ok := errors.AsType[*notNowError](err); ok {
		v.wait = n.wait + t.failing.spread()
	}
	return v
}

func unsent(m Message, err error) verdict {
	if !errors.Is(err, ErrCircuitOpen) {
		err = fmt.Errorf("fprom: %s was not sent: %w", m.name(), err)
	}
	return verdict{Result: Result{Outcome: Undelivered}, class: classUnsent, held: true, err: err}
}

// conclude ends the attempt of ticket: what its verdict means for the account, and for an event that can be tried again.
func (t *Tracker) conclude(ctx context.Context, of ticket, m Message, queued bool, s standing, v *verdict) {
	if v.good() {
		t.pause.good(of)
		t.failing.succeeded(m.Key)
		if queued && v.class == classDone && v.Outcome == NotReferral {
			t.askAgain(m, v)
		}
		return
	}
	paused := t.concludePause(ctx, of, m, s, v)
	v.held = paused || v.class != classTransient && v.class != classSuspected
	if !queued || v.class != classTransient && v.class != classSuspected {
		return
	}
	r := t.failing.failed(m.Key)
	v.wait, v.aside, v.alone, v.quiet = r.wait, r.aside, r.alone, !r.first
	switch {
	case r.giveUp:
		v.class, v.err = classRejected, fmt.Errorf("%w (given up after it failed for a day while others were delivered)", v.err)
	case v.class == classTransient && t.retry.MaxAttempts > 0 && m.Attempt >= t.retry.MaxAttempts:
		v.class, v.err = classRejected, fmt.Errorf("%w (given up after %d attempts)", v.err, m.Attempt)
	}
}

// concludePause reports whether the account is paused by the verdict, or still is.
func (t *Tracker) concludePause(ctx context.Context, of ticket, m Message, s standing, v *verdict) bool {
	var d time.Duration
	switch v.class {
	case classThrottled:
		d = t.pause.throttle(of, v.wait, v.err)
	case classUnauthorized:
		d = t.pause.unauthorized(of, v.err)
	case classSuspected:
		d = t.pause.refuse(of, m.Key, s.tried, v.err)
	default:
		t.pause.leave(of)
		return false
	}
	// Refused events may be at fault themselves: each process finds out on its own.
	if q, ok := t.queue.(Limiter); ok && d > 0 && v.class != classSuspected {
		if err := q.Pause(context.WithoutCancel(ctx), d, v.err); err != nil {
			t.guard(ctx, "the Logger", func() { t.log.Warn("fprom: the pause could not be told to the other processes", "error", err) })
		}
	}
	until, _ := t.pause.state()
	return !until.IsZero()
}

// askAgain puts off a NotReferral that may have come too early (RetryConfig.NotFound).
func (t *Tracker) askAgain(m Message, v *verdict) {
	if m.Kind != KindSale || v.StatusCode != http.StatusNoContent && !attributed(m) {
		return
	}
	age := max(time.Since(m.RecordedAt), 0) // a clock that was ahead when it was recorded must not make it wait longer
	for _, at := range t.retry.NotFound {
		if age < at {
			v.class, v.held, v.wait = classAskAgain, true, at-age
			v.err = fmt.Errorf("fprom: %s: FirstPromoter knows no such referral yet: asked again in %v", m.name(), v.wait.Round(time.Second))
			return
		}
	}
}

// attributed reports whether a sale says itself who brought the customer.
func attributed(m Message) bool {
	e, err := m.Event()
	sale, ok := e.(Sale)
	return err == nil && ok && sale.TID+sale.RefID+sale.PromoCode != ""
}

// report turns the verdict of an attempt into a step. A failure of Track is no step: whether it is repeated is the caller's
// business.
func (t *Tracker) report(ctx context.Context, m Message, v verdict, queued bool) {
	s := Step{Message: m, Result: v.Result, Err: v.err, Elapsed: v.elapsed, Waited: v.waited, alone: v.alone, quiet: v.quiet, warn: v.warn}
	switch v.class {
	case classDone:
		s.Stage = StageDelivered
	case classRejected:
		s.Stage = StageDead
	case classTransient, classAskAgain, classSuspected:
		switch {
		case v.class == classSuspected && v.held:
			s.Stage = StagePaused
		case !queued:
			return
		default:
			s.Stage = StageRetry
		}
	case classThrottled, classUnauthorized:
		s.Stage = StagePaused
	default: // nothing was sent, or nothing is known: the event is where it was
		return
	}
	t.observe(ctx, s)
}

// withoutName is the text of an error without the name of its event, which stands beside it.
func withoutName(text string, m Message) string {
	text = strings.TrimPrefix(text, "fprom: ")
	return strings.TrimPrefix(strings.TrimPrefix(text, m.name()), ": ")
}
