package boltqueue

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/fprom-go/fprom/boltqueue/internal/safebolt"
	"go.etcd.io/bbolt"
)

// The errors of a file. Those of Open and Compact wrap one of these, or the error of the system.
var (
	// ErrLocked: the file is open already.
	ErrLocked = safebolt.ErrLocked
	// ErrForeign: the file is not an outbox of this package. It was not changed.
	ErrForeign = safebolt.ErrForeign
	// ErrOldFormat: the file was written by a release before this format. It was not changed.
	ErrOldFormat = errors.New("the file was written by an older release of fprom/boltqueue, whose format this one does not read; let that release deliver what waits, then start with a new file; nothing was changed")
	// ErrNewerFormat: the file was written by a newer release. It was not changed.
	ErrNewerFormat = errors.New("the file was written by a newer release of fprom/boltqueue; use that one; nothing was changed")
	// ErrDamaged: the file is truncated, or its content is inconsistent.
	ErrDamaged = safebolt.ErrDamaged
)

// Open opens the outbox in the file at path. If there is no file, Open creates it with mode 0600; an empty one keeps its mode. The
// directory must exist. A process that dies while it creates the file can leave a temporary one, named path + ".new-" and a number.
// The file is locked until Close: a second Open, of any process, returns ErrLocked at once (see WithWait).
// Other errors wrap ErrForeign, ErrOldFormat, ErrNewerFormat, ErrDamaged or the error of the system. Open does not change a
// file that it refuses.
//
// Open reads the whole file once, to check its pages and to load the waiting events.
func Open(path string, opts ...Option) (*Queue, error) {
	q := newQueue(path, opts)
	if err := q.await(q.wait, q.open); err != nil {
		return nil, err
	}
	return q, nil
}

// await calls open, again and again while the file is locked, for d.
func (q *Queue) await(d time.Duration, open func() error) error {
	end, err := time.Now().Add(d), safebolt.Guard(open)
	if errors.Is(err, ErrLocked) && q.wait > 0 {
		q.logger.Info("fprom: another process has the outbox open; waiting for it to end", slog.String("path", q.path), slog.Duration("at_most", q.wait))
	}
	for errors.Is(err, ErrLocked) && time.Now().Before(end) {
		err = safebolt.Guard(open)
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
		err = errors.New("the path is empty")
	case errors.Is(err, fs.ErrNotExist) && !q.mustExist:
		err = safebolt.Create(q.path)
	case err != nil:
	case info.IsDir():
		err = errors.New("the path is a directory: name a file in it")
	case info.Mode().Perm()&0o200 == 0:
		err = fmt.Errorf("the file is read-only (mode %v): %w", info.Mode().Perm(), fs.ErrPermission)
	}
	if err != nil {
		return err
	}
	if q.db, err = safebolt.Open(q.path, checkFormat); err != nil {
		return err
	}
	if err = safebolt.Guard(q.load); err != nil {
		return errors.Join(err, q.db.Close())
	}
	if !q.noSocket {
		q.listen()
	}
	return q.db.View(safebolt.ReleasePages)
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

// Compact rewrites the file at path without its unused space. If a process has the file open, the error is ErrLocked. It needs
// disk space for a copy beside the file, named path + ".new-" and a number. After an error, or if the process dies, the old file
// is unchanged. Only a process that dies leaves the copy behind. On Linux the file keeps its owner, or it is an error. A symbolic
// link to the file stays.
func Compact(path string) error {
	if err := safebolt.Compact(path, checkFormat); err != nil {
		return fmt.Errorf("fprom: compact the outbox %q: %w", path, err)
	}
	return nil
}
