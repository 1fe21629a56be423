package boltqueue

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// The errors of a file. Those of Open and Compact wrap one of these, or the error of the system.
var (
	// ErrLocked: the file is open already.
	ErrLocked = errors.New("the file is locked by another process that has it open, or by this one; use one file for each process, or boltqueue.Dial to use the outbox through that process, or boltqueue.WithWait to wait for the file")
	// ErrForeign: the file is not an outbox of this package. It was not changed.
	ErrForeign = errors.New("the file is not an outbox of fprom/boltqueue; name another one; nothing was changed")
	// ErrOldFormat: the file was written by a release before this format. It was not changed.
	ErrOldFormat = errors.New("the file was written by an older release of fprom/boltqueue, whose format this one does not read; let that release deliver the waiting events, then start with a new file; nothing was changed")
	// ErrNewerFormat: the file was written by a newer release. It was not changed.
	ErrNewerFormat = errors.New("the file was written by a newer release of fprom/boltqueue; use that one; nothing was changed")
	// ErrDamaged: the file is truncated, or its content is inconsistent.
	ErrDamaged = errors.New("the file is damaged; keep a copy, then restore it from a backup or start with a new file")
)

// Open opens the outbox in the file at path. If there is no file, Open creates it with mode 0600; an empty one keeps its mode. The
// directory must exist. A process that dies while it creates the file can leave a temporary one, named path + ".new-" and a number.
// The file is locked until Close: a second Open, of any process, returns ErrLocked within a second, or waits longer (see WithWait).
// Other errors wrap ErrForeign, ErrOldFormat, ErrNewerFormat, ErrDamaged or the error of the system, and leave the file as it is.
func Open(path string, opts ...Option) (*Queue, error) {
	q := newQueue(path, opts)
	if err := q.await(q.open); err != nil {
		return nil, err
	}
	return q, nil
}

// await calls open, again and again while the file is locked, for a second or as long as WithWait says. A second is enough for
// a process that only looks into the file, and for a service to open its socket.
func (q *Queue) await(open func() error) error {
	end, err := time.Now().Add(max(q.wait, 4*lockTimeout)), guard(open)
	if errors.Is(err, ErrLocked) && q.wait > 0 { // less than a second needs no line
		q.logger.Info("fprom: another process has the outbox open; waiting for it to end", slog.String("path", q.path), slog.Duration("at_most", q.wait))
	}
	for errors.Is(err, ErrLocked) && time.Now().Before(end) {
		<-time.After(lockTimeout / 10)
		err = guard(open)
	}
	if err != nil {
		return fmt.Errorf("fprom: open the outbox %q: %w", q.path, err)
	}
	return nil
}

func (q *Queue) open() error {
	info, err := os.Stat(q.path)
	switch {
	case q.path == "":
		err = errors.New("the path is empty: name a file, such as fprom.db")
	case errors.Is(err, fs.ErrNotExist) && !q.mustExist:
		err = create(q.path)
	case err != nil:
	case info.IsDir():
		err = errors.New("the path is a directory: name a file in it")
	case info.Mode().Perm()&0o200 == 0:
		err = fmt.Errorf("the file is read-only (mode %v): %w", info.Mode().Perm(), fs.ErrPermission)
	}
	if err != nil {
		return err
	}
	if q.db, err = openFile(q.path); err != nil {
		return err
	}
	if err = guard(q.load); err != nil {
		return errors.Join(err, q.db.Close())
	}
	q.db.last = q.lastCommit()
	q.committer.Go(q.commits)
	if !q.noSocket {
		q.listen()
	}
	return nil
}

// checkFormat checks that a database is an outbox that can be used, or empty: then load makes it one.
func checkFormat(tx *bbolt.Tx) error {
	if k, _ := tx.Cursor().First(); k == nil {
		return nil
	}
	var found []byte
	if meta := tx.Bucket(bucketMeta); meta != nil {
		found = meta.Get(keyFormat)
	}
	switch order := bytes.Compare(found, []byte(format)); {
	case !bytes.HasPrefix(found, []byte(formatName)):
		return ErrForeign
	case order < 0:
		return ErrOldFormat
	case order > 0:
		return ErrNewerFormat
	}
	return nil
}

// maxDelay is longer than a Tracker lets an event wait by default, which is an hour. A retry that is due later, as after a step of
// the clock, is made at once.
const maxDelay = 2 * time.Hour

// load reads the open events. It makes the buckets of an empty file.
func (q *Queue) load() error {
	err := q.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMeta) == nil {
			for _, name := range allBuckets {
				_, err := tx.CreateBucket(name)
				must(err)
			}
			must(tx.Bucket(bucketMeta).Put(keyFormat, []byte(format)))
		}
		q.newTransaction(tx).load()
		return nil
	})
	return cmp.Or(err, q.view(releasePages))
}

// load adds the waiting events to the line, and counts the others. An event that cannot be read is a dead letter.
func (t *transaction) load() {
	end, c := t.open.Sequence(), t.open.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		seq := seqOf(k)
		if len(k) != 8 || seq > end {
			panic("an event has a wrong number")
		}
		r := decode(seq, v, false)
		t.track(seq, r, 1)
		switch wait := time.Until(r.at); {
		case r.state == fprom.StateDead:
		case r.at.IsZero():
			t.q.line.Add(r.item(seq))
		case wait > maxDelay:
			t.q.line.AddTried(r.item(seq), 0)
		default:
			t.q.line.AddTried(r.item(seq), wait)
		}
		t.publish() // so that no second map has all keys
	}
	t.stats.Ledger, t.stats.Conflicts = t.ids.Stats().KeyN, t.conflicted.Stats().KeyN
	times := t.times.Cursor()
	for k, v := times.Last(); k != nil && t.stats.LastSuccess.IsZero(); k, v = times.Prev() {
		if at := timeOf(k); string(v) != string(fprom.StateDead) && time.Until(at) <= 0 { // the clock may have been ahead
			t.stats.LastSuccess = at
		}
	}
	_ = t.reserve(0) // for the waiting events
	t.findOldest()
	t.publish()
}
