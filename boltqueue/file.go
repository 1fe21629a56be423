package boltqueue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const lockTimeout = 200 * time.Millisecond // another Open may hold the lock for a moment, to check the file

// file is an open file, and locked. Use it within guard: bbolt panics if the file is damaged.
type file struct {
	*bbolt.DB
	of    *os.File
	info  os.FileInfo // of when it was opened
	least int64       // the length of its first two pages, which each transaction reads first
	mu    sync.Mutex  // of begin
	stuck bool        // no transaction can begin any more
	last  int         // the id of the last transaction that could write
}

// openFile checks the file at path without changing it. Then it opens and locks it.
func openFile(path string) (*file, error) {
	if err := check(path); err != nil {
		return nil, err
	}
	f, err := openBolt(path, false)
	if err == nil && !f.inPlace() {
		return nil, errors.Join(ErrLocked, f.Close()) // a Compact of another process has replaced the file meanwhile
	}
	return f, err
}

// check checks the pages of the file at path, and its format. Use it within guard.
func check(path string) (err error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return err
	}
	f, err := openBolt(path, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.View(func(tx *bbolt.Tx) error {
		failpoint("check")
		checkPages(tx, f.of)
		return checkFormat(tx)
	})
}

// openBolt opens a file with bbolt. The freelist is not kept on disk, where it has no checksum: a damaged one would let bbolt
// overwrite pages in use. bbolt makes it at each opening from the pages that check has checked.
func openBolt(path string, readOnly bool) (*file, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &file{}
	f.DB, err = bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, ReadOnly: readOnly, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
			if f.of, err = os.OpenFile(path, flag, mode); err == nil && readOnly && isHeld(f.of) { //nolint:gosec // the caller's path
				err = berrors.ErrTimeout
			}
			return f.of, err
		},
	})
	switch _, system := errors.AsType[syscall.Errno](err); {
	case err == nil:
		f.least = 2 * int64(f.Info().PageSize)
		f.info, err = f.of.Stat()
		return f, err
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

// inPlace reports whether the file is still the one at its path. If this process may no longer look there, the answer is yes.
func (f *file) inPlace() bool {
	same, err := isAt(f.info, f.of.Name())
	return same || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// begin begins a transaction. If the first pages were cut or overwritten, bbolt panics and keeps a lock, for which all later ones would
// wait. So begin panics itself if the file is too short, and after a panic always.
func (f *file) begin(writable bool) *bbolt.Tx {
	f.mu.Lock()
	defer f.mu.Unlock()
	if size, _ := f.of.Seek(0, io.SeekEnd); !f.stuck && size >= f.least { // not Stat, see isAt in system_linux.go
		f.stuck = true // if bbolt panics
		tx, err := f.Begin(writable)
		must(err) // nil, unless the file is closed
		f.stuck = false
		if !writable || uint(tx.ID()-f.last) <= 1 {
			return tx
		}
		_ = tx.Rollback() // another copy is in the file, which has other free pages
	}
	panic("it was cut or overwritten while it was open")
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

// must is for what fails only if the file is damaged. Use it within guard.
func must(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
}

// What only Linux can do, or does differently.
var (
	allocate     = func(*os.File, int64) error { return errors.ErrUnsupported }
	keepOwner    = func(os.FileInfo, string) error { return nil }
	releasePages = func(*bbolt.Tx) {}
	isHeld       = func(*os.File) bool { return false }
	isAt         = func(file os.FileInfo, path string) (bool, error) {
		current, err := os.Stat(path)
		return os.SameFile(file, current), err
	}
)
