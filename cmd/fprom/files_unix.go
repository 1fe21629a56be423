//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
)

const mayWrite = 2 // W_OK

// writable returns an error if the file, or the folder for its socket, cannot be written. It writes nothing.
func writable(file string, mode os.FileMode) error {
	if mode.Perm()&0o200 == 0 { // the library refuses it even where root could write
		return &os.PathError{Op: "open", Path: file, Err: os.ErrPermission}
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0) //nolint:gosec // the operator's path
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := syscall.Access(filepath.Dir(file), mayWrite); err != nil {
		return &os.PathError{Op: "write", Path: filepath.Dir(file), Err: err}
	}
	return nil
}
