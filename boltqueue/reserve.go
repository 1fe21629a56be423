package boltqueue

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// reserve is disk space that a full disk cannot take away: a file of zeros beside the outbox. When an outcome finds no
// space, the file is removed, and deliveries go on with what it held. Puts then wait until the outbox has free pages of its
// own again, or the reserve can be made anew. Only the committer uses it.
type reserve struct {
	path  string
	spent bool
	tried time.Time // when it was last tried to make it anew
}

const (
	reservePages = 64 // what some commits of outcomes can touch
	reserveSize  = reservePages * 4 << 10
	reserveRetry = time.Second
)

// make takes the space. If there is none the reserve is spent from the beginning; if there can be no such file, nothing
// is reserved.
func (r *reserve) make() {
	if info, err := os.Stat(r.path); err == nil && info.Size() == reserveSize {
		r.spent = false
		return
	}
	err := writeSynced(r.path, make([]byte, reserveSize))
	if err != nil {
		_ = os.Remove(r.path)
	}
	r.spent = diskFull(err)
}

// release gives the space to the outbox, if it was not given before.
func (r *reserve) release(now time.Time) {
	if !r.spent && os.Remove(r.path) == nil {
		r.spent, r.tried = true, now
	}
}

// admits reports whether puts may use the disk: not while the reserve is spent and the outbox has no free pages instead.
func (r *reserve) admits(now time.Time, freePages func() int) bool {
	if r.spent && now.Sub(r.tried) >= reserveRetry {
		r.tried = now
		r.make()
	}
	return !r.spent || freePages() >= reservePages
}

func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// writeSynced writes a file and waits until its bytes are on disk: some file systems find out then only that it is full.
func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // beside the caller's path
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
