package boltqueue

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/fprom-go/fprom/boltqueue/internal/pages"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The errors of a file. Those of Open and Compact wrap one of these, or the error of the system.
var (
	// ErrLocked: the file is open already.
	ErrLocked = errors.New("the file is locked by another process that has it open, or by this one; use one file for each process, or boltqueue.Dial to use the outbox through that process, or boltqueue.WithWait to wait for the file")
	// ErrForeign: the file is not an outbox of this package. It was not changed.
	ErrForeign = errors.New("the file is not an outbox of fprom/boltqueue; nothing was changed")
	// ErrOldFormat: the file was written by a release before this format. It was not changed.
	ErrOldFormat = errors.New("the file was written by an older release of fprom/boltqueue, whose format this one does not read; let that release deliver what waits, then start with a new file; nothing was changed")
	// ErrNewerFormat: the file was written by a newer release. It was not changed.
	ErrNewerFormat = errors.New("the file was written by a newer release of fprom/boltqueue; use that one; nothing was changed")
	// ErrDamaged: the file is truncated, or its content is inconsistent.
	ErrDamaged = errors.New("the file is damaged; keep a copy, then restore it from a backup or start with a new file")
)

const lockTimeout = 200 * time.Millisecond // another Open may hold the lock for a moment, to check the file

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
	end, err := time.Now().Add(d), guard(open)
	if errors.Is(err, ErrLocked) && q.wait > 0 {
		q.logger.Info("fprom: another process has the outbox open; waiting for it to end", slog.String("path", q.path), slog.Duration("at_most", q.wait))
	}
	for errors.Is(err, ErrLocked) && time.Now().Before(end) {
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
		err = errors.New("the path is empty")
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
	if q.db, q.file, err = openFile(q.path); err != nil {
		return err
	}
	if err = guard(q.load); err != nil {
		return errors.Join(err, q.db.Close())
	}
	if !q.noSocket {
		q.listen()
	}
	return q.db.View(releasePages)
}

// openFile checks the file at path, and opens and locks it.
func openFile(path string) (db *bbolt.DB, file *os.File, err error) {
	if err = checkFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // a link to no file is none
		return nil, nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, nil, err
	}
	db, err = bbolt.Open(path, 0o600, options(false, &file))
	if err != nil {
		return nil, nil, openError(err)
	}
	if !inPlace(file) {
		return nil, nil, errors.Join(ErrLocked, db.Close()) // a Compact of another process has replaced the file meanwhile
	}
	return db, file, nil
}

// inPlace reports whether an open file is the one at its path. It believes so if this process may not look any more.
func inPlace(file *os.File) bool {
	mine, _ := file.Stat()
	current, err := os.Stat(file.Name())
	return os.SameFile(mine, current) || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// options are those of bbolt; it stores the opened file in *file. The freelist is not kept on disk, where it has no checksum: a
// damaged one would let bbolt overwrite pages in use. bbolt makes it at each opening from the pages that checkFile has checked.
func options(readOnly bool, file **os.File) *bbolt.Options {
	return &bbolt.Options{
		Timeout: lockTimeout, ReadOnly: readOnly, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
			*file, err = os.OpenFile(path, flag, mode) //nolint:gosec // the caller's path
			return *file, err
		},
	}
}

// checkFile checks, without changing it, that the file at path is an outbox that can be used.
func checkFile(path string) (err error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return err
	}
	var file *os.File
	db, err := bbolt.Open(path, 0o400, options(true, &file))
	if err != nil {
		return openError(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		if err := pages.Check(tx, file); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if k, _ := tx.Cursor().First(); k == nil {
			return nil // an empty database: load makes it an outbox
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
	})
}

// guard calls f. A panic or a page fault in f becomes an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

// openError translates an error of bbolt.Open into one of this package.
func openError(err error) error {
	switch _, system := errors.AsType[syscall.Errno](err); {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case system:
		return err
	case errors.Is(err, berrors.ErrInvalid): // it begins with no page of bbolt
		return fmt.Errorf("%w (%w)", ErrForeign, err)
	default:
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
}
