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

// create makes a new outbox at path if there is no file. It appears complete or not at all, whatever happens.
func create(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
	case err == nil && info.Mode().Perm()&0o200 == 0:
		return fmt.Errorf("the file is read-only (mode %v): %w", info.Mode().Perm(), fs.ErrPermission)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	dir, base := filepath.Split(path)
	tmp, err := os.CreateTemp(filepath.Clean(dir+"."), base+tmpPattern) // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if err := tmp.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(tmp.Name(), 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	if err := joinErr(db.Update(initialise), db.Close()); err != nil {
		return err
	}
	return publish(tmp.Name(), path)
}

// publish gives the complete file its name, unless another process was faster.
func publish(tmp, path string) error {
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(tmp, path); err != nil { // a file system without links
			return err
		}
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // it knows no such thing
		return nil
	}
	d, err := os.Open(dir) //nolint:gosec // the caller's path
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // not every system can
		err = nil
	}
	return joinErr(err, d.Close())
}

// initialise makes an outbox of an empty database.
func initialise(tx *bbolt.Tx) error {
	if tx.Bucket(bucketMeta) != nil {
		return nil
	}
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	if err := meta.Put(keyFormat, encodeFormat()); err != nil {
		return err
	}
	return meta.Put(keyState, (&state{seq: 1, base: 1, flushed: 1}).encode())
}
