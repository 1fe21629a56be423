package boltqueue

import (
	"errors"
	"os"
	"syscall"

	"go.etcd.io/bbolt"
)

// allocate takes disk space for a part of a file, also beyond its end, and neither writes nor lengthens it.
func allocate(f *os.File, from, to int64) error {
	const keepSize = 1
	for {
		if err := syscall.Fallocate(int(f.Fd()), keepSize, from, to-from); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// onlyOwner lets nobody else connect from the beginning: a socket gets the mode that it has before it is bound.
func onlyOwner(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
}

// letGo takes the pages of the file out of this process's memory. The system has them in its cache still, so that reading
// one again is cheap; without this all that was ever read counts as the process's, up to the whole file.
func letGo(tx *bbolt.Tx) error {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED) // advice only
	return nil
}
