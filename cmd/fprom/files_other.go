//go:build !unix

package main

import "os"

// writable returns an error if the file cannot be written. It writes nothing.
func writable(file string, mode os.FileMode) error {
	if mode.Perm()&0o200 == 0 { // the library refuses it even where root could write
		return &os.PathError{Op: "open", Path: file, Err: os.ErrPermission}
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
