package fprom

import (
	"context"
	"sort"
	"sync"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// Stats is a snapshot of a Tracker. The counters are of this process, since New.
type Stats struct {
	// Enqueued is how many events the queue has accepted. This includes repeats that only the queue knows, since they wait or
	// are in its ledger: it accepts them and stores nothing.
	Enqueued uint64 `json:"enqueued"`
	// Known is how many repeats were accepted: those of events that this process has delivered (see DedupeConfig), or of one call.
	Known       uint64 `json:"known"`
	Attempts    uint64 `json:"attempts"` // calls made to FirstPromoter, also those under way
	Tracked     uint64 `json:"tracked"`
	NotReferral uint64 `json:"not_referral"`
	Duplicate   uint64 `json:"duplicate"` // FirstPromoter or this process knew the event id
	Rejected    uint64 `json:"rejected"`  // refused by FirstPromoter as wrong, or given up: dead letters
	Retries     uint64 `json:"retries"`   // attempts that failed, or came too early, and are followed by another
	Discarded   uint64 `json:"discarded"` // recorded in a handler that failed
	Lost        uint64 `json:"lost"`      // could not be stored: look at the log
	Conflicts   uint64 `json:"conflicts"` // event ids used twice with different amounts: look at the log
	Panics      uint64 `json:"panics"`    // of the transport, the Observer, the Logger or the Queue: look at the log

	Queue       QueueStats    `json:"queue"`                 // the figures of Config.Queue
	QueueError  string        `json:"queue_error,omitempty"` // why the queue gave no figures: then Queue and OldestAge are unknown
	OldestAge   time.Duration `json:"oldest_age"`            // how long the oldest undelivered event has waited; nanoseconds in JSON
	Breaker     string        `json:"breaker"`               // "closed", "half-open" or "open"
	PausedUntil time.Time     `json:"paused_until,omitzero"` // when the next probe may be sent; zero unless the account is paused
	PauseReason string        `json:"pause_reason,omitempty"`
	PutError    string        `json:"put_error,omitempty"` // why the queue did not store the last events; empty if it did

	LastSuccess       time.Time `json:"last_success,omitzero"` // when this process last delivered an event; zero if it has not
	LastMinute        int       `json:"last_minute"`           // calls that this process made to FirstPromoter in the last 60 s
	RequestsPerMinute int       `json:"requests_per_minute"`   // the limit (Config.RequestsPerMinute)
}

type counters struct {
	mu    sync.Mutex
	stats Stats       // only the counters
	calls []time.Time // of the last minute, and some before
}

func (c *counters) update(f func(s *Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
}

func (c *counters) called() {
	c.update(func(s *Stats) {
		s.Attempts++
		c.calls = append(c.recent(), time.Now())
	})
}

// recent returns the calls of the last minute. Called with mu held.
func (c *counters) recent() []time.Time {
	i := sort.Search(len(c.calls), func(i int) bool { return time.Since(c.calls[i]) < time.Minute })
	return c.calls[i:]
}

func (s *Stats) count(step Step) {
	switch step.Stage {
	case StageEnqueued:
		s.Enqueued++
	case StageDelivered:
		s.LastSuccess = time.Now()
		switch step.Result.Outcome {
		case Tracked:
			s.Tracked++
		case NotReferral:
			s.NotReferral++
		default:
			s.Duplicate++
		}
	case StageRetry:
		s.Retries++
	case StageDead:
		s.Rejected++
	case StageDiscarded:
		s.Discarded++
	case StageLost:
		s.Lost++
	case StageConflict:
		s.Conflicts++
	case StagePaused: // only Attempts counts it
	}
}

// Stats returns a snapshot. It asks the queue, so it is not for a hot path.
func (t *Tracker) Stats() Stats {
	if t == nil {
		return Stats{}
	}
	var s Stats
	t.counts.update(func(counted *Stats) {
		s = *counted
		s.LastMinute = len(t.counts.recent())
	})
	s.RequestsPerMinute = t.cfg.RequestsPerMinute
	s.Breaker, s.PausedUntil, s.PauseReason = t.gate.state()
	q, err := t.queueStats()
	s.Queue, s.QueueError = q, shortText(err)
	if !s.Queue.Oldest.IsZero() {
		s.OldestAge = max(time.Since(s.Queue.Oldest), 0) // the clock may have been ahead
	}
	return s
}

// shortText returns the text of err for Stats; "" if err is nil.
func shortText(err error) string {
	if err == nil {
		return ""
	}
	return safelog.Shorten(safelog.Text(err), maxReason)
}

// queueStats asks the queue, which is foreign code.
func (t *Tracker) queueStats() (q QueueStats, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err = t.guard(ctx, "the Queue's Stats", func() (err error) {
		q, err = t.cfg.Queue.Stats(ctx)
		return err
	})
	return q, err
}

// Outbox returns the Tracker's queue for operators, if it is durable.
func (t *Tracker) Outbox() (Outbox, bool) {
	if t == nil {
		return nil, false
	}
	o, ok := t.cfg.Queue.(Outbox)
	return o, ok
}
