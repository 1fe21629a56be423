package boltqueue

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// letGo takes the pages of the file out of this process's memory. The system has them in its cache still, so that reading
// one again is cheap; without this all that was ever read counts as the process's, up to the whole file.
func letGo(tx *bbolt.Tx) error {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED) // advice only
	return nil
}
