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

const tmpPattern = ".new-*"

// create makes a new outbox if there is no file. It appears complete or not at all, whatever happens.
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
	tmp, err := makeTemp(q.path)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	db, err := bbolt.Open(tmp, 0o600, options(false, nil))
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := os.Link(tmp, q.path); err != nil && !errors.Is(err, fs.ErrExist) { // another process may be faster
		if err := os.Rename(tmp, q.path); err != nil { // a file system without links
			return err
		}
	}
	return syncDir(dir)
}

// makeTemp makes an empty file with mode 0600 beside path.
func makeTemp(path string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tmpPattern)
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
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
