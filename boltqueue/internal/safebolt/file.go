// Package safebolt opens the bbolt files of boltqueue. What is wrong with one is an error: a lock, another content, damage, which
// may also be found later. A new file appears whole or not at all.
package safebolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/fprom-go/fprom/boltqueue/internal/pages"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// The errors of a file; boltqueue documents them.
var (
	ErrLocked  = errors.New("the file is locked by another process that has it open, or by this one; use one file for each process, or boltqueue.Dial to use the outbox through that process, or boltqueue.WithWait to wait for the file")
	ErrForeign = errors.New("the file is not an outbox of fprom/boltqueue; nothing was changed")
	ErrDamaged = errors.New("the file is damaged; keep a copy, then restore it from a backup or start with a new file")
)

const lockTimeout = 200 * time.Millisecond // another Open may hold the lock for a moment, to check the file

// File is an open file, and locked. Use it within Guard: bbolt panics if the file is damaged.
type File struct {
	*bbolt.DB
	file *os.File
}

// Open checks the file at path, its pages and then what accept checks, without changing it. Then it opens and locks it.
func Open(path string, accept func(*bbolt.Tx) error) (*File, error) {
	if err := Check(path, accept); err != nil && !errors.Is(err, fs.ErrNotExist) { // a link to no file is none
		return nil, err
	}
	f, err := open(path, false)
	if err != nil {
		return nil, err
	}
	if !f.InPlace() {
		return nil, errors.Join(ErrLocked, f.Close()) // a Compact of another process has replaced the file meanwhile
	}
	return f, nil
}

// Check checks the file at path as Open does.
func Check(path string, accept func(*bbolt.Tx) error) (err error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return err
	}
	f, err := open(path, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.View(func(tx *bbolt.Tx) error {
		if err := pages.Check(tx, f.file); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return accept(tx)
	})
}

// open opens a file with bbolt. The freelist is not kept on disk, where it has no checksum: a damaged one would let bbolt overwrite
// pages in use. bbolt makes it at each opening from the pages that Check has checked.
func open(path string, readOnly bool) (*File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &File{}
	f.DB, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, ReadOnly: readOnly, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
			f.file, err = os.OpenFile(path, flag, mode) //nolint:gosec // the caller's path
			return f.file, err
		},
	})
	switch _, system := errors.AsType[syscall.Errno](err); {
	case err == nil:
		return f, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrLocked
	case system:
		return nil, err
	case errors.Is(err, berrors.ErrInvalid): // it begins with no page of bbolt
		return nil, fmt.Errorf("%w (%w)", ErrForeign, err)
	default:
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
}

// InPlace reports whether the file is still the one at its path. It believes so if this process may not look any more.
func (f *File) InPlace() bool {
	mine, _ := f.file.Stat()
	current, err := os.Stat(f.file.Name())
	return os.SameFile(mine, current) || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// Guard calls f. A panic or a page fault in f becomes an error.
func Guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}
