package boltqueue

import (
	"errors"
	"os"
	"syscall"
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
