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

// Compact rewrites the file at path without its unused space. If a process has the file open, the error is ErrLocked. It needs
// disk space for a copy beside the file, named path + ".new-" and a number. After an error, or if the process dies, the old file
// is unchanged. Only a process that dies leaves the copy behind. On Linux the file keeps its owner, or Compact returns an error.
// A symbolic link to the file stays.
func Compact(path string) error {
	if err := guard(func() error { return compact(path) }); err != nil {
		return fmt.Errorf("fprom: compact the outbox %q: %w", path, err)
	}
	return nil
}

func compact(path string) (err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return err
	}
	src, err := openFile(path) // the lock is held until the new file is in place
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	return newFile(path, func(dst *bbolt.DB) error {
		const txSize = 16 << 20 // bytes that are kept in memory before a sync
		return bbolt.Compact(dst, src.DB, txSize)
	}, func(temp string) error {
		if err := keepOwner(src.info, temp); err != nil {
			return fmt.Errorf("the new file must have the owner of the old one; compact as that user, or as root: %w", err)
		}
		if runtime.GOOS == "windows" { // where an open file cannot be replaced
			_ = src.Close()
		}
		return os.Rename(temp, path)
	})
}

// create makes an empty database at path, with mode 0600, unless another process has made one meanwhile.
func create(path string) error {
	return newFile(path, func(*bbolt.DB) error { return nil }, func(temp string) error {
		_ = os.Link(temp, path)
		f, err := os.OpenFile(path, os.O_CREATE, 0o600) //nolint:gosec // on a system without links it is empty, and bbolt fills it
		_ = f.Close()
		return err
	})
}

// newFile makes a database with mode 0600 in a temporary file beside path, and calls fill and then move, which moves it to path.
// So a full disk, or a process that dies meanwhile, never leaves an incomplete file at path.
func newFile(path string, fill func(*bbolt.DB) error, move func(temp string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make its directory first: %q: %w", dir, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the directory %q is not writable by this user: let the user write there, or take another directory: %w", dir, err)
	case err != nil:
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	db, err := openBolt(f.Name(), false)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := errors.Join(fill(db.DB), db.Close()); err != nil {
		return err
	}
	return errors.Join(move(f.Name()), syncDir(dir))
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
