package boltqueue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// What can be wrong with a file. The errors of Open, Inspect and Compact wrap these, or the cause that the system gave.
var (
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("the file is locked by another process that has it open; stop that one or use another file, one for each process")
	// ErrForeign: the file is not an outbox of this package. It was not changed.
	ErrForeign = errors.New("the file is not an outbox of fprom/boltqueue; nothing was changed")
	// ErrNewerFormat: the file was written by a newer release. It was not changed.
	ErrNewerFormat = errors.New("the file was written by a newer release of fprom/boltqueue; use that one; nothing was changed")
	// ErrDamaged: the file is truncated or its content does not add up.
	ErrDamaged = errors.New("the file is damaged; keep a copy, then restore it from a backup or start with a new file")
)

const (
	lockTimeout = 50 * time.Millisecond // bbolt tries once
	maxFreelist = 4096                  // pages: a longer list is written when the queue is closed only
	tmpPattern  = ".new-*"
)

// Open opens the outbox in the file at path, and creates it with mode 0600 if there is none or if it is empty. The
// directory must exist. The file is locked until Close: a second Open, of any process, is ErrLocked at once. Other errors
// wrap ErrForeign, ErrNewerFormat, ErrDamaged or the system's. Nothing is changed in a file that is refused.
//
// Opening does not read the backlog; only files below 64 MiB, and those that a crash left with much unused space, are
// checked whole.
func Open(path string, opts ...Option) (*Queue, error) {
	q := newQueue(path, opts)
	if err := q.open(); err != nil {
		return nil, fmt.Errorf("boltqueue: open %s: %w", path, err)
	}
	q.reserve.path = path + ".reserve"
	q.reserve.make()
	go q.run()
	return q, nil
}

func (q *Queue) open() error {
	if err := create(q.path); err != nil {
		return err
	}
	err := guard(func() error { return q.openFile() })
	if err == nil {
		return nil
	}
	if q.file != nil { // if it still is open: after a panic bbolt's own Close would hang
		_ = abandon(q.file)
	}
	return explain(err)
}

func (q *Queue) openFile() error {
	db, err := bbolt.Open(q.path, 0o600, options(checkHead, &q.file))
	if err != nil {
		return err
	}
	q.db = db
	if err = q.loadState(); err != nil {
		_ = db.Close()
	}
	return err
}

// options opens a file through check, after it was locked. The file is left in *file.
func options(check func(*os.File) error, file **os.File) *bbolt.Options {
	return &bbolt.Options{
		Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(path, flag&^os.O_CREATE, mode) //nolint:gosec // the caller's path
			if err != nil {
				return nil, err
			}
			if err = joinErr(lock(f), sameFile(f, path)); err == nil {
				err = check(f)
			}
			if err != nil {
				_ = f.Close()
				return nil, err
			}
			*file = f
			return f, nil
		},
	}
}

// sameFile: Compact may have put another file in its place before it was locked.
func sameFile(f *os.File, path string) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	current, err := os.Stat(path)
	if err == nil && !os.SameFile(mine, current) {
		err = ErrLocked
	}
	return err
}

// loadState reads the counters, and nothing that grows with the backlog. Of an empty file it makes an outbox.
func (q *Queue) loadState() error {
	return q.db.Update(func(tx *bbolt.Tx) error {
		if err := initialise(tx); err != nil {
			return err
		}
		for _, name := range allBuckets {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("%w: no bucket %s", ErrDamaged, name)
			}
		}
		st, ok := decodeState(tx.Bucket(bucketMeta).Get(keyState))
		if !ok {
			return fmt.Errorf("%w: the counters cannot be read", ErrDamaged)
		}
		q.c.st, q.c.cursor = st, st.base
		w := q.newWork(tx)
		if err := w.bringForward(); err != nil {
			return err
		}
		w.findOldest()
		w.findMarks()
		q.c.nextDue, q.c.prune, q.c.nextMark, q.stats, q.nextSeq = w.nextDue, w.prune, w.nextMark, w.stats(), st.seq
		return q.restoreKeys(w)
	})
}

// abandon closes a file that stays mapped, which would keep its lock.
func abandon(f *os.File) error {
	_ = unlock(f)
	return f.Close()
}

// guard makes an error of a panic or a page fault within f.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

// explain says in our words what bbolt found.
func explain(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	default:
		return err
	}
}

// syncFailed reports whether err comes from fdatasync or from File.Sync, after which nobody knows what is on disk. Some file
// systems find out then only that the disk is full.
func syncFailed(err error) bool {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Op == "sync"
	}
	no, ok := errors.AsType[syscall.Errno](err)
	return ok && !diskFull(no)
}

// lastCommit is the id of the last commit that can be seen. One whose meta page was written, but not confirmed, is seen.
func (q *Queue) lastCommit() (id int) {
	err := q.db.View(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	})
	if err != nil {
		return math.MaxInt
	}
	return id
}

// freePages is the length of the list of free pages, which each commit would have to write.
func (q *Queue) freePages() int {
	s := q.db.Stats()
	return s.FreePageN + s.PendingPageN
}

// finishFreelist writes the list of free pages if the last commits did not, so that the next Open is fast.
func (q *Queue) finishFreelist() {
	if q.brokenErr() != nil || !q.db.NoFreelistSync {
		return
	}
	q.db.NoFreelistSync = false
	err := guard(func() error { return q.db.Update(func(*bbolt.Tx) error { return nil }) })
	if err != nil {
		q.logger.Warn("fprom: the outbox's list of free pages could not be written; the next start takes longer", "path", q.path, "error", err)
	}
}

func joinErr(err, second error) error {
	if err == nil {
		return second
	}
	return err
}
