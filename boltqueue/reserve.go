package boltqueue

import (
	"errors"
	"fmt"
	"syscall"
)

const (
	reserveBase = 256 << 10 // bytes; more than the pages that some commits of outcomes touch
	reserveEach = 320       // bytes; an outcome needs about 120 to 300 more than the waiting event that it replaces
)

// reserve returns an error if no events may be put. It keeps disk space behind the pages of the file for the outcomes of the waiting
// events, so that they can be written when the disk is full.
func (t *transaction) reserve() error {
	if !t.q.db.inPlace() {
		return errors.New("the file was renamed, removed or replaced while it was open, and the next start would not find the event; put the file back, or restart the service once it has delivered what waits")
	}
	end := t.open.Tx().Size() + reserveBase + int64(t.stats.Pending+t.stats.Bulk)*reserveEach
	if t.q.reserved >= end {
		return nil
	}
	end += reserveBase // not at each Put
	err := t.q.allocate(t.q.db.of, end)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w: the space that is left is kept for the outcomes of the stored events", syscall.ENOSPC)
	case err == nil: // else the system cannot do it
		t.q.reserved = end
	}
	return nil
}
