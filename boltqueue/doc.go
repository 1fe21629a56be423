// Package boltqueue is a durable fprom.Queue in one file: an outbox on go.etcd.io/bbolt, without a server.
//
//	outbox, err := boltqueue.Open("fprom.db")
//	…
//	tracker, err := fprom.New(fprom.Config{Queue: outbox})
//
// Put returns when the events are on disk (fdatasync). Puts that arrive while a commit runs share the next one; a lone
// Put takes exactly one commit and waits for nothing else. What the deliveries bring (done, again, dead letter) shares
// the same commits. A retry rewrites its own event only, and an outage only those that were under way.
//
// # What it promises
//
// An event that Put accepted is delivered, however often the process dies, until FirstPromoter gave its verdict; it has no
// age limit. An event whose verdict was not yet on disk when the process died is delivered again, and its event id makes
// that harmless. The file remembers the ids of delivered events for 400 days (WithRetention), so that a redelivered
// webhook is recognised after any restart; the same id with another amount is reported once as fprom.ErrConflict.
// Cancellations are not remembered: a customer may cancel again. Ids are kept as hashes: no address stays in the ledger.
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
// # When something is wrong with the disk
//
// A full disk is an error of Put, and Put works again when there is space. What the file has is delivered all the same:
// beside it lies a reserve of 256 KiB (its name ends in .reserve), which is given up when an outcome finds no space, and
// made anew when there is. Outcomes that cannot be written even so are tried again, with a growing pause and an error
// log; no more events are sent meanwhile. If the process ends before, those events are sent again. When the disk does not confirm a write, or a page of the file cannot be understood, the queue is out
// of use until the process opens the file again. Every event has a checksum: a damaged one is not sent but becomes a dead
// letter. A copy of the file is a backup only if no process had it open.
//
// # Space
//
// A waiting sale takes about 360 bytes of the file. A remembered id takes 50 to 100 bytes of it, and 1.5 bytes of memory;
// besides, some hundred events are in memory, however many wait. The file never shrinks by itself: freed pages are used
// again. Compact rewrites it while no process has it open.
package boltqueue
