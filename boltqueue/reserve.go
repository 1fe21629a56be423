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

// reserve returns an error if no events of size bytes may be put. It keeps disk space for the outcomes of the waiting events, so
// that they can be written when the disk is full: free pages of the file, and space that is allocated behind its last page.
func (t *transaction) reserve(size int) error {
	if t.size == 0 && !t.q.db.inPlace() { // once in a transaction
		return errors.New("the file was renamed, removed or replaced while it was open, and the next start would not find the event; put the file back, or restart the service once it has delivered the waiting events")
	}
	t.size += int64(size)
	db, used := t.q.db, t.open.Tx().Size()
	room := int64(db.Stats().FreePageN+db.Stats().PendingPageN)*int64(db.Info().PageSize) + max(t.q.reserved-used, 0)
	need := reserveBase + int64(t.stats.Pending+t.stats.Bulk)*reserveEach + 2*t.size
	if room >= need {
		return nil
	}
	end := used + need + reserveBase // more than this Put needs, so that not each Put allocates
	switch err := t.q.allocate(db.of, end); {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%w: the space that is left is kept for the outcomes of the stored events", syscall.ENOSPC)
	case err == nil: // any other error: the system cannot do it
		t.q.reserved = end
	}
	return nil
}
