package boltqueue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"go.etcd.io/bbolt"
)

// Compact rewrites the file at path without its unused space. If a process has the file open, the error is ErrLocked. It needs
// disk space for a copy beside the file, named path + ".new-" and a number. After an error, or if the process dies, the old file
// is unchanged. Only a process that dies leaves the copy behind. On Linux the file keeps its owner, or it is an error. A symbolic
// link to the file stays.
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
	src, old, err := openFile(path) // the lock is held until the new file is in place
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("make a file in the directory %q, which this user must be able to write: %w", dir, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	o := options(false, new(*os.File))
	o.NoSync = true // one Sync after all is written
	dst, err := bbolt.Open(f.Name(), 0o600, o)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	const txSize = 1 << 20 // bytes
	if err := errors.Join(bbolt.Compact(dst, src, txSize), dst.Sync(), dst.Close()); err != nil {
		return err
	}
	if err := keepOwner(old, f.Name()); err != nil {
		return fmt.Errorf("the new file must have the owner of the old one; compact as that user, or as root: %w", err)
	}
	if runtime.GOOS == "windows" { // where an open file cannot be replaced
		_ = src.Close()
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
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
