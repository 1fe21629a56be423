package fprom

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is a snapshot of a Tracker. The counters are of this process, since New.
type Stats struct {
	Enqueued    uint64 `json:"enqueued"` // accepted and stored
	Known       uint64 `json:"known"`    // accepted again: a repeat of an event that was already stored or delivered
	Attempts    uint64 `json:"attempts"` // calls made to FirstPromoter
	Tracked     uint64 `json:"tracked"`
	NotReferral uint64 `json:"not_referral"`
	Duplicate   uint64 `json:"duplicate"` // FirstPromoter or this process knew the event id
	Rejected    uint64 `json:"rejected"`  // refused by FirstPromoter as wrong, or out of attempts: dead letters
	Retries     uint64 `json:"retries"`   // attempts that failed, or were answered too early, and are made again
	Discarded   uint64 `json:"discarded"` // recorded in a handler that failed
	Lost        uint64 `json:"lost"`      // could not be stored: look at the log
	Conflicts   uint64 `json:"conflicts"` // event ids used twice with different amounts: look at the log
	Panics      uint64 `json:"panics"`    // of the transport, the Observer, the Logger or the Queue: look at the log

	Queue       QueueStats    `json:"queue"`                 //
	OldestAge   time.Duration `json:"oldest_age"`            // how long the oldest undelivered event has waited; nanoseconds in JSON
	Breaker     string        `json:"breaker"`               // "closed", "half-open" or "open"
	PausedUntil time.Time     `json:"paused_until,omitzero"` // zero unless the account is paused; in the past while a probe decides
	PauseReason string        `json:"pause_reason,omitempty"`
	PutError    string        `json:"put_error,omitempty"` // why the queue did not store what it was given last; empty if it did

	LastSuccess       time.Time `json:"last_success,omitzero"` // when this process last delivered an event; zero if it has not
	LastMinute        int       `json:"last_minute"`           // calls that this process made to FirstPromoter in the last 60 s
	RequestsPerMinute int       `json:"requests_per_minute"`   // the limit (Config.RequestsPerMinute)
}

type counters struct {
	enqueued, known, attempts, tracked, notReferral, duplicate atomic.Uint64
	rejected, retries, discarded, lost, conflicts, panics      atomic.Uint64

	putError atomic.Pointer[error] // of the last Put; nil if it stored

	mu      sync.Mutex
	success time.Time  // the last one
	seconds [60]second // the calls of the last minute
}

// second counts the calls of one second.
type second struct {
	unix  int64
	calls int
}

// called counts a call to FirstPromoter.
func (c *counters) called() {
	c.attempts.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().Unix()
	s := &c.seconds[now%60]
	if s.unix != now {
		*s = second{unix: now}
	}
	s.calls++
}

func (c *counters) recent() (success time.Time, lastMinute int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().Unix()
	for _, s := range c.seconds {
		if now-s.unix < 60 {
			lastMinute += s.calls
		}
	}
	return c.success, lastMinute
}

// put notes how a Put ended.
func (c *counters) put(err error) {
	switch {
	case err != nil:
		kept := err // so that only a failure allocates
		c.putError.Store(&kept)
	case c.putError.Load() != nil: // seldom: no Put waits for another one's cache line
		c.putError.Store(nil)
	}
}

// count adds s to the counters.
func (c *counters) count(s Step) {
	switch s.Stage {
	case StageEnqueued:
		c.enqueued.Add(1)
	case StageDelivered:
		c.delivered(s.Result.Outcome)
	case StageRetry:
		c.retries.Add(1)
	case StageDead:
		c.rejected.Add(1)
	case StageDiscarded:
		c.discarded.Add(1)
	case StageLost:
		c.lost.Add(1)
	case StageConflict:
		c.conflicts.Add(1)
	case StagePaused: // an attempt that is made again, and counted by Attempts
	}
}

func (c *counters) delivered(o Outcome) {
	switch o {
	case Tracked:
		c.tracked.Add(1)
	case NotReferral:
		c.notReferral.Add(1)
	case Duplicate, Rejected, Undelivered:
		c.duplicate.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.success = time.Now()
}

// Stats returns a snapshot. It asks the queue, so it is not for a hot path.
func (t *Tracker) Stats() Stats {
	if t == nil {
		return Stats{}
	}
	c := &t.counts
	s := Stats{
		Enqueued: c.enqueued.Load(), Known: c.known.Load(), Attempts: c.attempts.Load(), Tracked: c.tracked.Load(),
		NotReferral: c.notReferral.Load(), Duplicate: c.duplicate.Load(), Rejected: c.rejected.Load(),
		Retries: c.retries.Load(), Discarded: c.discarded.Load(), Lost: c.lost.Load(), Conflicts: c.conflicts.Load(),
		Panics: c.panics.Load(), RequestsPerMinute: t.perMinute,
	}
	var reason error
	if s.Breaker, s.PausedUntil, reason = t.gate.state(); reason != nil {
		s.PauseReason = reason.Error()
	}
	s.LastSuccess, s.LastMinute = c.recent()
	if err := c.putError.Load(); err != nil {
		s.PutError = shorten((*err).Error(), maxReason)
	}
	q, err := t.queueStats()
	if err != nil && !errors.Is(err, ErrQueueClosed) {
		t.say(t.running, slog.LevelWarn, "the queue gives no statistics", "error", err)
	}
	s.Queue = q
	if !q.Oldest.IsZero() {
		s.OldestAge = time.Since(q.Oldest)
	}
	return s
}

// queueStats asks the queue, which is foreign code.
func (t *Tracker) queueStats() (q QueueStats, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if !t.guard(ctx, "the Queue's Stats", func() { q, err = t.queue.Stats(ctx) }) {
		err = errRecovered
	}
	return q, err
}

// Outbox returns the Tracker's queue for operators, if it is durable.
func (t *Tracker) Outbox() (Outbox, bool) {
	if t == nil {
		return nil, false
	}
	o, ok := t.queue.(Outbox)
	return o, ok
}
