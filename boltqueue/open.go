package boltqueue

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// What can be wrong with a file. The errors of Open, Inspect and Compact wrap these, or the cause that the system gave.
var (
	// ErrLocked: the file is open already.
	ErrLocked = errors.New("the file is locked by another process that has it open, or by this one; use one file for each process, or boltqueue.Dial to see that one's outbox, or boltqueue.WithWait to take over from it")
	// ErrForeign: the file is not an outbox of this package. It was not changed.
	ErrForeign = errors.New("the file is not an outbox of fprom/boltqueue; nothing was changed")
	// ErrOldFormat: the file was written by a release before the first one with this format. It was not changed.
	ErrOldFormat = errors.New("the file was written by an older release of fprom/boltqueue, whose format this one does not read; let that release deliver what waits, then start with a new file; nothing was changed")
	// ErrNewerFormat: the file was written by a newer release. It was not changed.
	ErrNewerFormat = errors.New("the file was written by a newer release of fprom/boltqueue; use that one; nothing was changed")
	// ErrDamaged: the file is truncated or its content does not add up.
	ErrDamaged = errors.New("the file is damaged; keep a copy, then restore it from a backup or start with a new file")
)

const lockTimeout = 200 * time.Millisecond // somebody may just look at the file

// Open opens the outbox in the file at path, and creates it with mode 0600 if there is none or if it is empty. The
// directory must exist. The file is locked until Close: a second Open, of any process, is ErrLocked at once (see WithWait).
// Other errors wrap ErrForeign, ErrOldFormat, ErrNewerFormat, ErrDamaged or the system's. Nothing is changed in a file that
// is refused.
//
// Opening reads the whole file once: that all of it is where it belongs, and what waits.
func Open(path string, opts ...Option) (*Queue, error) {
	q := newQueue(path, opts)
	end, err := q.now().Add(q.wait), guard(q.open)
	if q.wait > 0 && errors.Is(err, ErrLocked) {
		q.logger.Info("fprom: another process has the outbox; waiting for it to end", slog.String("path", q.path), slog.Duration("at_most", q.wait))
		for ; errors.Is(err, ErrLocked) && q.now().Before(end); err = guard(q.open) {
			time.Sleep(lockTimeout) //nolint:forbidigo // there is no context: Open blocks
		}
	}
	if err != nil {
		return nil, fmt.Errorf("fprom: open the outbox %q: %w", path, err)
	}
	q.admits(0)
	if !q.noSocket {
		q.unlisten = q.listen()
	}
	return q, nil
}

func (q *Queue) open() (err error) {
	if err := q.create(); err != nil {
		return err
	}
	if q.db, q.reserve.file, err = openFile(q.path); err != nil {
		return err
	}
	if err := q.load(); err != nil {
		return errors.Join(err, q.db.Close())
	}
	return q.db.View(releasePages)
}

// openFile checks the file at path, and opens and locks it.
func openFile(path string) (db *bbolt.DB, file *os.File, err error) {
	if err := examine(path, nil); err != nil {
		return nil, nil, err
	}
	db, err = bbolt.Open(path, 0o600, options(false, &file))
	if err != nil {
		return nil, nil, explain(err, path)
	}
	mine, err := file.Stat()
	current, err2 := os.Stat(path)
	if err = errors.Join(err, err2); err == nil && !os.SameFile(mine, current) {
		err = ErrLocked // by a Compact that has put another file in its place meanwhile
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, file, nil
}

// options: the list of free pages is never written but always made from the tree, whose form examine has checked: a list on
// disk has no checksum, and a wrong one would let pages in use be overwritten.
//
// bbolt's file is stored in *file.
func options(readOnly bool, file **os.File) *bbolt.Options {
	return &bbolt.Options{
		Timeout: lockTimeout, ReadOnly: readOnly, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
			*file, err = os.OpenFile(path, flag&^os.O_CREATE, mode) //nolint:gosec // the caller's path
			return *file, err
		},
	}
}

// examine checks that the file at path is an outbox that can be used, without changing it, and shows it to look, if any.
func examine(path string, look func(*bbolt.Tx) error) (err error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return err
	}
	if info.Size() < 2*int64(os.Getpagesize()) {
		return explain(berrors.ErrInvalid, path)
	}
	var file *os.File
	db, err := bbolt.Open(path, 0o400, options(true, &file))
	if err != nil {
		return explain(err, path)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		if err := checkPages(tx, file); err != nil {
			return err
		}
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if k, _ := tx.Cursor().First(); k == nil {
				return nil // an empty database may become an outbox
			}
			return ErrForeign
		}
		version, ok := bytes.CutPrefix(meta.Get(keyFormat), []byte(formatName))
		if !ok || len(version) != 2 {
			return ErrForeign
		}
		switch v := binary.BigEndian.Uint16(version); {
		case v < formatVersion:
			return ErrOldFormat
		case v > formatVersion:
			return fmt.Errorf("%w (format %d, known: %d)", ErrNewerFormat, v, formatVersion)
		}
		for _, name := range allBuckets {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("%w: no bucket %s", ErrDamaged, name)
			}
		}
		if look != nil {
			return look(tx)
		}
		return nil
	})
}

// Inspect says what an outbox has, without creating or changing anything, and checks that Open would take it. While it looks,
// the file is locked against writers, for some milliseconds or as long as it takes to read a large file. If a process has the
// file open, the error is ErrLocked: see Dial. Other errors are those of Open; fs.ErrNotExist if there is no file.
func Inspect(path string) (fprom.QueueStats, error) {
	q := newQueue(path, []Option{WithoutRun()})
	err := guard(func() error {
		return examine(path, func(tx *bbolt.Tx) error { return q.newWork(tx).load() })
	})
	if err != nil {
		return fprom.QueueStats{}, fmt.Errorf("fprom: inspect the outbox %q: %w", path, err)
	}
	return q.Stats(context.Background())
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

// explain says in our words what bbolt found when it opened a file.
func explain(err error, path string) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case !errors.Is(err, berrors.ErrInvalid) && !errors.Is(err, berrors.ErrVersionMismatch) && !errors.Is(err, berrors.ErrChecksum) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case hasMagic(path):
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	default:
		return fmt.Errorf("%w (%w)", ErrForeign, err)
	}
}
