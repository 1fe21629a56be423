package boltqueue

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// reserve is disk space that a full disk cannot take away: a file of zeros beside the outbox, which grows with the number of
// events that wait. When an outcome finds no space, the file is removed, and deliveries go on with what it held. Puts are
// refused until the reserve can be made anew, or the outbox has free pages instead. Only the committer uses it.
type reserve struct {
	path   string
	size   int64     // what it holds
	none   bool      // there can be no such file
	failed time.Time // when it last found no space
}

const (
	reserveBase  = 256 << 10 // what some commits of outcomes can touch
	reserveEach  = 320       // what an outcome takes more than the event that it replaces: about 120 to 300 bytes
	reserveStep  = 256 << 10
	reserveRetry = time.Second
)

// open takes over the reserve of an earlier process, or makes one.
func (r *reserve) open(path string, now time.Time, waiting int) {
	r.path = path
	if info, err := os.Stat(path); err == nil {
		r.size = info.Size()
	}
	r.admits(now, waiting, func() int64 { return 0 })
}

// admits reports whether puts may use the disk: where the outcomes of so many waiting events have room.
func (r *reserve) admits(now time.Time, waiting int, free func() int64) bool {
	need := reserveBase + int64(waiting)*reserveEach
	switch {
	case r.size >= need:
		if r.size > 4*(need+reserveStep) && os.Truncate(r.path, 2*need) == nil {
			r.size = 2 * need
		}
		return true
	case r.none || now.Sub(r.failed) >= reserveRetry && r.grow(now, need+max(need/4, reserveStep)):
		return true
	default:
		return free() >= need
	}
}

// grow makes the file as long as size. Where there can be no such file, nothing is reserved.
func (r *reserve) grow(now time.Time, size int64) bool {
	err := extend(r.path, r.size, size)
	switch {
	case err == nil:
		r.size = size
		return true
	case !diskFull(err):
		r.none = true
		return true
	case r.size == 0:
		err = os.Remove(r.path)
	default:
		err = os.Truncate(r.path, r.size)
	}
	r.failed, r.none = now, err != nil && !errors.Is(err, fs.ErrNotExist)
	return false
}

// release gives the space to the outbox.
func (r *reserve) release(now time.Time) {
	if os.Remove(r.path) == nil {
		r.size, r.failed = 0, now
	}
}

func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// extend makes a file longer, and waits until that is on disk: some file systems find out then only that it is full.
func extend(path string, from, to int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600) //nolint:gosec // beside the caller's path
	if err != nil {
		return err
	}
	return errors.Join(allocate(f, from, to), f.Sync(), f.Close())
}

func writeZeros(f *os.File, from, to int64) (err error) {
	for zeros := make([]byte, reserveStep); from < to && err == nil; from += reserveStep {
		_, err = f.WriteAt(zeros[:min(to-from, reserveStep)], from)
	}
	return err
}
