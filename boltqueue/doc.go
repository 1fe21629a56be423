// Package boltqueue is a durable fprom.Queue in one file, an fprom.Outbox on go.etcd.io/bbolt, without a server.
//
//	outbox, err := boltqueue.Open("fprom.db")
//	…
//	tracker, err := fprom.New(fprom.Config{Queue: outbox})
//
// Put returns when the events are on disk (fdatasync). Puts that arrive while a commit runs share the next one; a lone
// Put takes exactly one commit and waits for nothing else. A retry rewrites its own event only.
//
// # What it promises
//
// An event that Put accepted is delivered, however often the process dies, until FirstPromoter gave its verdict; it has no
// age limit. An event whose verdict was not yet on disk when the process died is delivered again, and its event id makes
// that harmless. The file remembers the outcomes of delivered events for 400 days (WithRetention). So a webhook that comes
// again is recognised after any restart, and the same id with another amount is fprom.ErrConflict. If the id of a sale comes
// again after more than six days, the log warns: a subscription's id may be used for each of its payments. Cancellations
// are listed, but do not block another one: a customer may cancel again.
//
// A rejected event becomes a dead letter: see Queue.Entries, Queue.Redrive and Queue.Drop. Its event id is free: a corrected
// event with the same id replaces the dead letter.
//
// # One process
//
// The file belongs to one process at a time; a second one gets ErrLocked at once, or waits for it (WithWait). The file must be
// on a local file system: locks and memory maps over NFS do not work. For several replicas use one file each, or module
// riverqueue.
//
// Whoever has the file serves a Unix socket beside it, FILE.sock with mode 0600: other processes of the same user see the
// outbox through it, feed it, redrive, drop and forget (Dial, OpenOrDial), and one rate limit holds for all. It speaks HTTP:
//
//	curl --unix-socket fprom.db.sock http://outbox/status
//
// It shows what the file has: customers too if asked to, but never the API key. WithoutSocket turns it off.
//
// # When something is wrong with the disk
//
// A full disk is an error of Put, and Put works again when there is space. What the file has is delivered all the same: on
// Linux it reserves 256 KiB of the disk, and 320 bytes for each event that waits, for outcomes. If that is not enough, or on
// another system, each worker keeps its outcome until it can be written, and sends nothing meanwhile; the log says so at ERROR
// once a minute. If the process ends before, those events are sent again.
//
// When the disk does not confirm a write, or a page of the file cannot be understood, the queue is out of use until the
// process opens the file again. Open checks the form of the whole file. Every event has a checksum: a damaged one is not sent;
// it becomes a dead letter. A copy of the file is a backup only if no process had it open.
//
// # Personal data
//
// The customer and the body of an event are in the file while it waits and while it is a dead letter; Queue.Forget erases
// them. Once it is done, the event id, the amount, times and FirstPromoter's ids stay; an event id with an address in it
// stays as a hash. Erased bytes may stay in unused pages until these are used again, or until Compact.
//
// # Space
//
// A waiting sale takes about 300 bytes of the file and up to 100 bytes of memory. A remembered event id takes about as much of
// the file, and no memory. Open takes a second or two for each million of events. The file never shrinks by itself: freed
// pages are used again, and so is the space that was kept for outcomes. Compact rewrites it while no process has it open.
package boltqueue
