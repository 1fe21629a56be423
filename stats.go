package fprom

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"
)

// Stats is a snapshot of a Tracker. The counters are of this process, since New.
type Stats struct {
	Enqueued    uint64 `json:"enqueued"` // accepted and stored
	Known       uint64 `json:"known"`    // accepted, but accepted or delivered before: nothing to do
	Attempts    uint64 `json:"attempts"` // calls made to FirstPromoter
	Tracked     uint64 `json:"tracked"`
	NotReferral uint64 `json:"not_referral"`
	Duplicate   uint64 `json:"duplicate"` // FirstPromoter or this process knew the event id
	Rejected    uint64 `json:"rejected"`  // refused by FirstPromoter as wrong, or out of attempts: dead letters
	Retries     uint64 `json:"retries"`   // attempts that failed, or were answered too early, and are made again
	Discarded   uint64 `json:"discarded"` // recorded in a handler that failed
	Lost        uint64 `json:"lost"`      // could not be stored: look at the log
	Conflicts   uint64 `json:"conflicts"` // event ids used twice with different amounts: look at the log

	Queue       QueueStats    `json:"queue"`                 // zero if the queue has no Stats
	OldestAge   time.Duration `json:"oldest_age"`            // how long the oldest undelivered event has waited; nanoseconds in JSON
	Breaker     string        `json:"breaker"`               // "closed", "half-open" or "open"
	PausedUntil time.Time     `json:"paused_until,omitzero"` // zero unless the account is paused; in the past while a probe decides
	PauseReason string        `json:"pause_reason,omitempty"`
}

type counters struct {
	enqueued, known, attempts, tracked, notReferral, duplicate atomic.Uint64
	rejected, retries, discarded, lost, conflicts              atomic.Uint64
}

func newCounters() *counters { return &counters{} }

// Stats returns a snapshot. It asks the queue, so it is not for a hot path.
func (t *Tracker) Stats() Stats {
	if t == nil {
		return Stats{}
	}
	c := t.counts
	s := Stats{
		Enqueued: c.enqueued.Load(), Known: c.known.Load(), Attempts: c.attempts.Load(), Tracked: c.tracked.Load(),
		NotReferral: c.notReferral.Load(), Duplicate: c.duplicate.Load(), Rejected: c.rejected.Load(),
		Retries: c.retries.Load(), Discarded: c.discarded.Load(), Lost: c.lost.Load(), Conflicts: c.conflicts.Load(),
		Breaker: t.breaker.state(),
	}
	if until, reason := t.pause.state(); !until.IsZero() {
		s.PausedUntil, s.PauseReason = until, reason.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	q, err := t.queue.Stats(ctx)
	if err != nil && !errors.Is(err, ErrQueueClosed) {
		t.log.Warn("fprom: the queue gives no statistics", "error", err)
	}
	s.Queue = q
	if !q.Oldest.IsZero() {
		s.OldestAge = time.Since(q.Oldest)
	}
	return s
}

// report turns the verdict of an attempt into a step. A failure of Track is no step: whether it is repeated is the caller's
// business.
func (t *Tracker) report(ctx context.Context, m Message, v verdict, queued bool) {
	if v.sent {
		t.counts.attempts.Add(1)
	}
	s := Step{Message: m, Result: v.Result, Err: v.err, Elapsed: v.elapsed}
	switch v.class {
	case classDone:
		s.Stage = StageDelivered
	case classRejected:
		s.Stage = StageDead
	case classTransient, classAskAgain:
		if !queued {
			return
		}
		s.Stage = StageRetry
	case classThrottled, classRefused, classEndpoint:
		s.Stage = StagePaused
	default: // nothing was sent, or nothing is known: the event is where it was
		return
	}
	t.observe(ctx, s)
}

// observe is the one door that every step goes through: it counts, logs and tells the Observer.
func (t *Tracker) observe(ctx context.Context, s Step) {
	if t == nil {
		return
	}
	level, text := t.count(s)
	if t.log.Enabled(ctx, level) {
		attrs := []slog.Attr{slog.String("event", s.Message.name())}
		if s.Result.Outcome != "" {
			attrs = append(attrs, slog.String("outcome", string(s.Result.Outcome)), slog.Int("status", s.Result.StatusCode))
		}
		if s.Message.Attempt > 0 {
			attrs = append(attrs, slog.Int("attempt", s.Message.Attempt))
		}
		if s.Err != nil {
			attrs = append(attrs, slog.String("error", s.Err.Error()))
		}
		t.log.LogAttrs(ctx, level, "fprom: "+text, attrs...)
	}
	if t.observer != nil {
		t.observer(ctx, s)
	}
}

// count adds s to the counters, and says how it is logged.
func (t *Tracker) count(s Step) (slog.Level, string) {
	c := t.counts
	switch s.Stage {
	case StageEnqueued:
		c.enqueued.Add(1)
		return slog.LevelDebug, "enqueued"
	case StageDelivered:
		switch s.Result.Outcome {
		case Tracked:
			c.tracked.Add(1)
		case NotReferral:
			c.notReferral.Add(1)
		case Duplicate, Rejected, Undelivered:
			c.duplicate.Add(1)
		}
		return slog.LevelDebug, "delivered"
	case StageRetry:
		c.retries.Add(1)
		if s.Result.Outcome == NotReferral { // RetryConfig.NotFound
			return slog.LevelDebug, "no such referral yet; asked again later"
		}
		return slog.LevelWarn, "not delivered; tried again later"
	case StagePaused:
		return slog.LevelError, "all delivery is paused; what is queued is kept"
	case StageDead:
		c.rejected.Add(1)
		return slog.LevelError, "the event is given up: a dead letter"
	case StageDiscarded:
		c.discarded.Add(1)
		if s.Err != nil { // the client may see a success
			return slog.LevelWarn, "what the handler recorded is not sent"
		}
		return slog.LevelDebug, "the handler failed: what it recorded is not sent"
	case StageLost:
		c.lost.Add(1)
		return slog.LevelError, "LOST: the request succeeded, but its event could not be stored; report it by hand"
	case StageConflict:
		c.conflicts.Add(1)
		return slog.LevelError, "NOT TRACKED: the event id is already used with another amount; each payment needs an id of its own"
	}
	return slog.LevelInfo, string(s.Stage)
}
