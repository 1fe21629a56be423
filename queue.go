package fprom

import (
	"context"
	"time"
)

// Queue holds accepted events until they are delivered. A Tracker calls Put for accepted events and Run once; the queue
// owns concurrency, order and timers. Implementations: NewMemoryQueue, package boltqueue (one file), module riverqueue
// (PostgreSQL, several replicas). The suite fpromtest/queuetest says whether an implementation keeps the rules.
//
// A queue may also be a Limiter, an UndeliveredLister or a Watcher, which a Tracker uses, and an Outbox for operators. Assert
// that, as in var _ fprom.Limiter = (*Queue)(nil), so that a wrong signature does not compile.
type Queue interface {
	// Put stores messages, all or none. nil means that they are stored as safely as this queue promises. A message whose Key
	// waits, or is remembered with its outcome, is not stored again, and that is no error. But if its Digest differs, the error
	// wraps ErrConflict, each time, and the other messages are stored. With any other error nothing is stored, or perhaps all if
	// ctx ended or the store failed meanwhile. The Key of a dead letter is free: a new message replaces it. After Close the error
	// is ErrQueueClosed. Put must return when ctx ends, after a second, and be safe for concurrent use, also before and during Run.
	Put(ctx context.Context, m ...Message) error
	// Run calls deliver for every stored message, at most workers at once, until ctx ends. Then it starts no delivery, waits
	// for those under way and returns nil. If another Run is under way, the error is ErrQueueInUse; after Close, ErrQueueClosed.
	//
	// Messages of one Customer are delivered one at a time in the order they were put, unless IsSetAside(err) lets the later
	// ones pass. Otherwise the oldest comes first, and live messages come before those with Bulk. First attempts and retries
	// take turns, so that neither keeps the other waiting.
	//
	// Message.Attempt counts the deliveries from 1. If deliver returns no error, the message is done, with the Result's
	// Outcome. If IsPermanent(err), it is a dead letter. Otherwise it is delivered again after RetryDelay(attempt, err), and the
	// attempt does not count if IsHeld(err) or ctx has ended. A panic of deliver is an error of that delivery.
	Run(ctx context.Context, workers int, deliver func(context.Context, Message) (Result, error)) error
	// Flush returns nil when every message stored before the call has an outcome or is a dead letter. It returns an error
	// that wraps ErrNotDue as soon as no remaining message is under way or due before ctx's deadline, ctx's error when ctx
	// ends, and ErrQueueClosed after Close.
	Flush(ctx context.Context) error
	// Stats must be cheap, and return when ctx ends, after a second: a scrape of metrics waits for it. After Close the error is ErrQueueClosed.
	Stats(ctx context.Context) (QueueStats, error)
	// Close is called after Run has returned. Each further call returns the error of the first one.
	Close() error
}

// Limiter is a Queue that shares the account's limit with other processes.
type Limiter interface {
	// Admit is called before every attempt. It waits for the limit that all processes share, requestsPerMinute
	// (Config.RequestsPerMinute). ctx also ends when the account is paused. If Admit returns nil before, the attempt is made.
	Admit(ctx context.Context, requestsPerMinute int) error
	// Pause tells the other processes that an answer pauses the account for d.
	Pause(ctx context.Context, d time.Duration, reason error) error
}

// UndeliveredLister is a Queue that does not outlive the process.
type UndeliveredLister interface {
	// Undelivered returns the messages without an outcome, oldest first. It never waits, not even for the end of Run.
	Undelivered() []Message
}

// Watcher is a Queue that shows its state to other processes, as boltqueue does over its socket.
type Watcher interface {
	// Watch gives the queue the Tracker's Stats, with what the queue does not know: the pause, the breaker, the conflicts
	// that the Tracker found itself, the calls of the last minute. New calls it once before Run. stats may be called at any
	// time, also by several goroutines.
	Watch(stats func() Stats)
}

// QueueStats are the figures of a queue.
type QueueStats struct {
	Pending     int       `json:"pending"`                // live messages without an outcome, those under way included
	Bulk        int       `json:"bulk"`                   // the same count for messages with Message.Bulk
	Oldest      time.Time `json:"oldest,omitzero"`        // RecordedAt of the oldest, live or bulk; zero if there is none
	Dead        int       `json:"dead"`                   // dead letters; the queue in memory only counts them
	Ledger      int       `json:"ledger"`                 // event ids remembered with their outcome
	Conflicts   int       `json:"conflicts"`              // refused pairs of an event id and another amount that are remembered; a Watcher shows Stats.Conflicts if that is more
	Delivering  bool      `json:"delivering"`             // some process runs the queue, and the queue does not stand still (see PauseReason)
	LastSuccess time.Time `json:"last_success,omitzero"`  // when the last event was done; zero if unknown
	PausedUntil time.Time `json:"paused_until,omitzero"`  // end of a pause of the account; zero if there is none, or none is known
	PauseReason string    `json:"pause_reason,omitempty"` // why; without PausedUntil: why the queue, or with Delivering a part of it, stands still
	Breaker     string    `json:"breaker,omitempty"`      // Stats.Breaker of the process that delivers; empty if several do, or unknown
	LastMinute  *int      `json:"last_minute,omitempty"`  // calls to FirstPromoter in the last 60 s, of all processes; nil if unknown
}
