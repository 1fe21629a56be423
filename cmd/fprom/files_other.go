//go:build !unix

package main

import "os"

// writable says whether the file can be written. It writes nothing.
func writable(file string, mode os.FileMode) error {
	if mode.Perm()&0o200 == 0 { // that root may write it all the same is no help: the library refuses it
		return &os.PathError{Op: "open", Path: file, Err: os.ErrPermission}
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
