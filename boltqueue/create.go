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

func (q *Queue) createIfMissing() error {
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
	if _, err := os.Stat(filepath.Dir(q.path)); err != nil {
		return fmt.Errorf("make its directory first: %w", err)
	}
	return newFile(q.path, func(*bbolt.DB) error { return nil }, func(temp string) error {
		if err := os.Link(temp, q.path); err == nil || errors.Is(err, fs.ErrExist) { // another process may have created it first
			return nil
		}
		return os.Rename(temp, q.path) // the file system has no links
	})
}

// Compact rewrites the file at path without its unused space. If a process has the file open, the error is ErrLocked. It needs
// disk space for a copy beside the file, named path + ".new-" and a number. After an error, or if the process dies, the old file
// is unchanged. Only a process that dies leaves the copy behind. On Linux the file keeps its owner, or it is an error. A symbolic
// link to the file stays.
func Compact(path string) error {
	err := guard(func() (err error) {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target
		}
		src, old, err := openFile(path) // the lock is held until the new file is in place
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, src.Close()) }()
		const txSize = 1 << 20 // bytes
		return newFile(path, func(dst *bbolt.DB) error { return bbolt.Compact(dst, src, txSize) }, func(temp string) error {
			if err := keepOwner(old, temp); err != nil {
				return fmt.Errorf("the new file must have the owner of the old one; compact as that user, or as root: %w", err)
			}
			if runtime.GOOS == "windows" { // where an open file cannot be replaced
				_ = src.Close()
			}
			return os.Rename(temp, path)
		})
	})
	if err != nil {
		return fmt.Errorf("fprom: compact the outbox %q: %w", path, err)
	}
	return nil
}

// newFile makes a database in a temporary file beside path, with mode 0600, and calls fill and then move, which moves it to
// path. So a process that dies meanwhile never leaves an incomplete file at path.
func newFile(path string, fill func(*bbolt.DB) error, move func(temp string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return fmt.Errorf("make a file in the directory %q, which this user must be able to write: %w", filepath.Dir(path), err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	o := options(false, new(*os.File))
	o.NoSync = true // one Sync after fill
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
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || runtime.GOOS == "windows" { // a system that cannot sync a directory
		err = nil
	}
	return errors.Join(err, d.Close())
}
