package boltqueue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"go.etcd.io/bbolt"
)

// create makes a new outbox if there is no file.
func (q *Queue) create() error {
	if q.path == "" {
		return errors.New("the path is empty")
	}
	info, err := os.Stat(q.path)
	if err == nil && info.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("the file is read-only (mode %v): %w", info.Mode().Perm(), fs.ErrPermission)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) || q.mustExist {
		return err
	}
	dir := filepath.Dir(q.path)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("the directory %q: %w", dir, err)
	}
	return place(q.path, func(*bbolt.DB) error { return nil }, func(made string) error {
		if err := os.Link(made, q.path); err == nil || errors.Is(err, fs.ErrExist) { // another process may be faster
			return nil
		}
		return os.Rename(made, q.path) // a file system without links
	})
}

// Compact rewrites the file at path without its unused space, while no process has it open; else the error is ErrLocked.
// It needs disk space for the copy beside the file. After an error, or if the process dies, the old file is there; the copy,
// named path + ".new-" and a number, is left only if the process died.
func Compact(path string) error {
	err := guard(func() (err error) {
		src, _, err := openFile(path) // it keeps the lock until the new file is in place
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, src.Close()) }()
		const step = 1 << 20 // bytes in one transaction
		return place(path, func(dst *bbolt.DB) error { return bbolt.Compact(dst, src, step) }, func(made string) error {
			if runtime.GOOS == "windows" { // it does not replace a file that is open
				_ = src.Close()
			}
			return os.Rename(made, path)
		})
	})
	if err != nil {
		return fmt.Errorf("fprom: compact the outbox %q: %w", path, err)
	}
	return nil
}

// place makes a database with mode 0600 beside path, fills it, and lets it be moved to path. It appears there complete or not
// at all, whatever happens.
func place(path string, fill func(*bbolt.DB) error, move func(made string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	o := options(false, new(*os.File))
	o.NoSync = true // until it is full
	db, err := bbolt.Open(f.Name(), 0o600, o)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := errors.Join(fill(db), db.Sync(), db.Close()); err != nil {
		return err
	}
	if err := move(f.Name()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the caller's path
	if err != nil {
		return err
	}
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || runtime.GOOS == "windows" { // not every system can
		err = nil
	}
	return errors.Join(err, d.Close())
}
