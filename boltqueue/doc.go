// Package boltqueue is a durable fprom.Queue in one file, an fprom.Outbox on go.etcd.io/bbolt, without a server.
//
//	outbox, err := boltqueue.Open("fprom.db")
//	…
//	tracker, err := fprom.New(fprom.Config{Queue: outbox})
//
// Put returns when the events are on disk (fdatasync). Puts that arrive while a commit runs share the next commit. A single
// Put takes one commit. A retry rewrites only its own event.
//
// # What it promises
//
// An event that Put accepted is delivered until it is done or a dead letter, however often the process dies. It has no age
// limit. If the process dies before the outcome is on disk, the event is delivered again, and its event id makes that harmless.
// The file remembers the outcomes of delivered events for 400 days (WithRetention). So a webhook that comes again is recognized
// after any restart, and the same id with another amount is fprom.ErrConflict. If the id of a sale comes again after more than
// six days, the log warns: perhaps a subscription's id is used for each of its payments. Cancellations are listed, but do not
// block another one: a customer may cancel again.
//
// An event that is rejected or given up is a dead letter: see Queue.Entries, Queue.Redrive, Queue.Drop. Its id is free: a corrected
// event with the same id replaces the dead letter.
//
// # One process
//
// The file belongs to one process at a time. A second process gets ErrLocked within a second, or waits longer (WithWait). The
// file must be on a local file system: locks and memory maps do not work over NFS. For several replicas use one file each, or
// module riverqueue.
//
// The process that has the file serves a Unix socket beside it, FILE.sock with mode 0600. If the path is a symbolic link, the
// socket is beside the file that it leads to, or beside the link if the path of that file is too long for a socket. Through the
// socket, other processes of the same user can see the outbox, feed it, redrive, drop and forget (Dial, OpenOrDial); all events
// share one rate limit. The socket speaks HTTP (curl --unix-socket fprom.db.sock http://outbox/status). It shows the content of the
// file, on request with customers, but never the API key. WithoutSocket turns it off. Let no other user write the directory: they
// could put a socket in its place, and get the events that other processes put.
//
// # When something is wrong with the disk
//
// If the disk is full, Put returns an error, and works again when there is space. Stored events are still delivered: on Linux
// the file reserves 256 KiB of the disk, and 320 bytes for each waiting event, for their outcomes. If that is not enough, or on
// another system, each worker keeps its outcome until it can be written, and sends nothing meanwhile. The log says so at ERROR
// once a minute. If the process ends before that, those events are sent again.
//
// If the file is renamed, removed or replaced while it is open, Put returns an error, since no later start would find the events.
// Waiting events are still delivered.
//
// If the disk does not confirm a write, a write or a delivery meets a damaged page, or a backup was copied into the open file, the
// queue is out of use until the process opens the file again. Open checks the structure of the whole file. Every event has a
// checksum: a damaged event is not sent, but becomes a dead letter. A copy of the file is a backup only if no process had it open.
//
// # Personal data
//
// The customer and the body of an event are in the file while it waits and while it is a dead letter; Queue.Forget erases
// them. When the event is done, its id, its amount, its times and FirstPromoter's ids stay; an event id that contains an e-mail
// address stays as a hash. Erased bytes can remain in unused pages until these are used again, or until Compact.
//
// # Space
//
// A waiting sale takes about 300 bytes of the file and up to 100 bytes of memory. A remembered event id takes about as much of
// the file, and no memory. A dead letter takes a few bytes of memory. Open takes a second or two for each million of events. The
// file never shrinks by itself, but uses freed pages and the reserved space again. Compact makes a closed file smaller.
package boltqueue
