//go:build !unix || solaris || aix

package boltqueue

import "os"

// lock leaves it to bbolt to lock the file.
func lock(*os.File) error { return nil }

func unlock(*os.File) error { return nil }
