// Package boltqueue is a durable fprom.Queue in one file: an outbox on go.etcd.io/bbolt, without a server.
//
//	outbox, err := boltqueue.Open("fprom.db")
//	…
//	tracker, err := fprom.New(fprom.Config{Queue: outbox})
//
// Put returns when the events are on disk (fdatasync). Puts that arrive while a commit runs share the next one; a lone
// Put takes exactly one commit and waits for nothing else. What the deliveries bring (done, again, dead letter) shares
// the same commits. Nothing else is written: an outage rewrites only the events that were under way.
//
// # What it promises
//
// An event that Put accepted is delivered, however often the process dies, until FirstPromoter gave its verdict; it has no
// age limit. An event whose verdict was not yet on disk when the process died is delivered again, and its event id makes
// that harmless. The file remembers the ids of delivered events for 400 days (WithRetention), so that a redelivered
// webhook is recognised after any restart; the same id with another amount is reported once as fprom.ErrConflict.
// Cancellations are not remembered: a customer may cancel again.
//
// A rejected event becomes a dead letter: see Queue.DeadLetters, Queue.Redrive and Queue.Drop. Its event id is free
// again: a Put of the same id replaces the dead letter, so that a corrected event can be sent.
//
// # One process
//
// The file belongs to one process at a time; a second one gets ErrLocked at once. It must be on a local file system: locks
// and memory maps over NFS do not work. Inspect reads the counters of a file in use. For several replicas use
// one file each, or module riverqueue.
//
// # Space
//
// A waiting sale takes about 0.4 KiB (see the benchmarks); a remembered id about 110 bytes. The file never shrinks by
// itself: freed pages are used again. Compact rewrites it while no process has it open.
package boltqueue
