package boltqueue

import (
	"errors"
	"os"
	"syscall"
)

// allocate takes the space without writing it, where the file system can.
func allocate(f *os.File, from, to int64) error {
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, from, to-from)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return writeZeros(f, from, to)
		default:
			return err
		}
	}
}
