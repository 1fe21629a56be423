package boltqueue

import (
	"errors"
	"os"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// reserve keeps room for the outcomes of what waits, so that they can be written when the disk is full: free pages, and disk
// space that the file has beyond the last page in use. Puts are refused where they would take of it. Only one commit at a time uses it.
type reserve struct {
	file   *os.File
	take   func(f *os.File, from, to int64) error // allocate, but for tests
	end    int64                                  // of the space that the file has
	none   bool                                   // the system or the file system cannot
	failed time.Time                              // when there was no space
}

const (
	reserveBase  = 256 << 10 // what some commits of outcomes can touch
	reserveEach  = 320       // what an outcome takes more than the event that it replaces: about 120 to 300 bytes
	reserveStep  = 256 << 10
	reserveRetry = time.Second
)

// admits reports whether puts of so many bytes may use the disk, with so many events waiting.
func (r *reserve) admits(db *bbolt.DB, now time.Time, size, waiting int) bool {
	used := int64(0)
	_ = db.View(func(tx *bbolt.Tx) error {
		used = tx.Size()
		return nil
	})
	stats := db.Stats()
	room := int64(stats.FreePageN+stats.PendingPageN)*int64(db.Info().PageSize) + max(r.end-used, 0)
	need := reserveBase + int64(waiting)*reserveEach + 2*int64(size)
	if r.none || room >= need {
		return true
	}
	if now.Sub(r.failed) < reserveRetry {
		return false
	}
	end := used + need + max(need/4, reserveStep)
	switch err := r.take(r.file, used, end); {
	case err == nil:
		r.end = end
	case diskFull(err):
		r.failed = now
	default:
		r.none = true
	}
	return r.failed != now
}

func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
