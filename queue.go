package fprom

import (
	"context"
	"time"
)

// Queue holds accepted events until they are delivered. A Tracker calls Put for every accepted event and Run once; the
// queue owns concurrency, order and timers. Implementations: NewMemoryQueue, package boltqueue (one file), module
// riverqueue (PostgreSQL, several replicas). The suite fpromtest.TestQueue says whether an implementation keeps the rules.
//
// Besides Put and Run a queue may have any of these methods; a Tracker finds and uses them:
//
//	SetWorkers(n int)                                  // called before Run: deliveries under way at once (Config.Workers)
//	Stats(ctx context.Context) (QueueStats, error)     // what Tracker.Stats shows of the queue; must be cheap
//	Flush(ctx context.Context) error                   // until every message stored before the call has an outcome
//	Undelivered() []Message                            // only if not durable: what is left after Run returned, oldest first
//	Close() error                                      // called once by Shutdown, after Run returned; must be idempotent
//	Admit(ctx context.Context) error                   // called before every attempt: waits for the limit shared with other
//	                                                   // processes. If Pause was called meanwhile, no attempt follows
//	Pause(ctx context.Context, d time.Duration, reason error) error // an answer pauses the account: tell the other processes
type Queue interface {
	// Put stores messages, all or none. nil means that they are stored as safely as this queue promises. A message whose
	// Key is stored already, or had its outcome and is remembered, stores nothing and is no error, unless its Digest
	// differs: then an error that wraps ErrConflict, once for each such pair, with the other messages stored. Safe for
	// concurrent use, also before and while Run runs.
	Put(ctx context.Context, m ...Message) error
	// Run calls deliver for every stored message until ctx ends, then waits for the calls under way and returns nil.
	// Messages of one Customer are delivered one at a time in the order they were put; others at once, oldest first.
	// Message.Attempt counts the deliveries from 1. deliver's answer: nil, done; IsPermanent(err), dead letter; otherwise
	// again after RetryDelay(attempt, err), where the attempt does not count if IsHeld(err) or ctx has ended.
	Run(ctx context.Context, deliver func(context.Context, Message) error) error
}

// QueueStats is what a queue tells about itself.
type QueueStats struct {
	Pending int       `json:"pending"`         // messages without an outcome, those under way included
	Oldest  time.Time `json:"oldest,omitzero"` // RecordedAt of the oldest of them; zero if there is none
	Dead    int       `json:"dead"`            // dead letters kept; of the queue in memory how many there were
	Ledger  int       `json:"ledger"`          // event ids remembered with their outcome
}
