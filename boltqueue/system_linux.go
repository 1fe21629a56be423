package boltqueue

import (
	"errors"
	"os"
	"syscall"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

func init() {
	// allocate takes disk space for the file up to end. It does not change the content or the length.
	allocate = func(f *os.File, end int64) error {
		const keepSize = 1
		return syscall.Fallocate(int(f.Fd()), keepSize, 0, end)
	}
	// keepOwner gives the file temp the owner of old. It follows no link that somebody has put in its place.
	keepOwner = func(old os.FileInfo, temp string) error {
		s := old.Sys().(*syscall.Stat_t)
		return os.Lchown(temp, int(s.Uid), int(s.Gid))
	}
	// releasePages unmaps the pages of the file from this process's memory. They stay in the system's cache, so reading one again
	// is cheap. Without this, every page ever read counts as memory of the process, up to the size of the file.
	releasePages = func(tx *bbolt.Tx) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED) // advice only
	}
	// isHeld reports whether another process has the lock of the file; if not, this process has it. So only one process at a time
	// checks the file. Those that check a large file in turn would keep each other from opening it.
	isHeld = func(f *os.File) bool {
		return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
	}
	// isAt reports whether the file is the one at path. Unlike os.Stat it does not ask for times: once somebody has read the time
	// of the last write, the next write must store a later one (since Linux 6.13), and a commit took an eighth longer.
	anywhere := isAt
	isAt = func(file os.FileInfo, path string) (bool, error) {
		var current unix.Statx_t
		if unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO, &current) != nil {
			return anywhere(file, path)
		}
		s := file.Sys().(*syscall.Stat_t)
		return s.Ino == current.Ino && uint64(s.Dev) == unix.Mkdev(current.Dev_major, current.Dev_minor), nil //nolint:unconvert // 32 bits on mips
	}
	// The socket has mode 0600 before it is bound, so that no other user can connect at any moment.
	socketConfig.Control = func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), 0o600) })
	}
}
