package fprom

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// Stage is a point on the way of an event.
type Stage string

// The stages.
const (
	StageEnqueued  Stage = "enqueued"  // accepted: stored in the queue. A quick worker may come first: its step is before this one then
	StageDelivered Stage = "delivered" // has its outcome: Tracked, NotReferral or Duplicate
	StageRetry     Stage = "retry"     // the attempt failed, was refused, or came too early; another one follows
	StagePaused    Stage = "paused"    // the answer pauses all delivery; the event is kept, no attempt is spent
	StageDead      Stage = "dead"      // rejected, or given up: a dead letter
	StageDiscarded Stage = "discarded" // recorded in a handler that failed: not a sale
	StageLost      Stage = "lost"      // could not be stored; the request succeeded all the same (see WithFailClosed)
	StageConflict  Stage = "conflict"  // not stored: its event id is already used with another amount or currency
)

// Step tells an Observer what happened to an event.
type Step struct {
	Stage   Stage
	Message Message
	Result  Result
	Err     error         // the reason of retry, paused, dead, lost and conflict; of discarded if the client may see a success, or the 503 of WithFailClosed
	Elapsed time.Duration // the attempt's duration; 0 if none was made
	Waited  time.Duration // how long the attempt waited before it was made: for the rate limit, a pause or the circuit breaker

	attempt *attempt // nil if none was made
}

// observe counts and logs every step, and calls the Observer, also after the end of ctx. It recovers their panics.
func (t *Tracker) observe(ctx context.Context, s Step) {
	t.counts.update(func(stats *Stats) { stats.count(s) })
	_ = t.guard(ctx, "the Logger", func() error { t.logbook.log(ctx, t, s); return nil })
	if t.cfg.Observer != nil {
		_ = t.guard(ctx, "the Observer", func() error { t.cfg.Observer(context.WithoutCancel(ctx), s); return nil })
	}
}

// report turns the verdict into a step. A failure of Track is no step: the caller decides whether to repeat it.
func (t *Tracker) report(ctx context.Context, a *attempt) {
	if a.class == classRejected && errors.Is(a.err, ErrConflict) { // the Is of another error may be foreign
		t.observe(ctx, Step{Stage: StageConflict, Message: a.Message, Err: ErrConflict})
	}
	s := Step{Message: a.Message, Result: a.Result, Err: a.err, Elapsed: a.elapsed, Waited: a.waited, attempt: a}
	switch {
	case a.class == classDone:
		s.Stage = StageDelivered
	case a.class == classRejected && (a.queued || a.sent): // the conflict of a Track had its step above
		s.Stage = StageDead
	case a.class == classUnknown, !a.queued && !a.paused:
		return
	case a.paused:
		s.Stage = StagePaused
	default:
		s.Stage = StageRetry
	}
	t.observe(ctx, s)
}

// guard runs foreign code, of one of a few kinds. It counts and logs a panic, and returns an error then.
func (t *Tracker) guard(ctx context.Context, what string, f func() error) error {
	err := t.panics.Recovered(ctx, t.cfg.Logger, what, t.cfg.APIKey, f)
	if err == safelog.ErrRecovered { //nolint:errorlint // the Is of another error may be foreign
		t.counts.update(func(s *Stats) { s.Panics++ })
	}
	return err
}

// say logs a line that concerns no single event.
func (t *Tracker) say(ctx context.Context, level slog.Level, text string, attrs ...any) {
	_ = t.guard(ctx, "the Logger", func() error { t.cfg.Logger.Log(ctx, level, "fprom: "+text, attrs...); return nil })
}
