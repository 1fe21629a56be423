//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
)

const mayWrite = 2 // W_OK

// writable says whether the file, and the folder for what lies beside it, can be written. It writes nothing.
func writable(file string, mode os.FileMode) error {
	if mode.Perm()&0o200 == 0 { // that root may write it all the same is no help: the library refuses it
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
