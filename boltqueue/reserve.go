package boltqueue

import (
	"errors"
	"fmt"
	"syscall"
)

const (
	reserveBase = 256 << 10 // bytes; more than the pages that some commits of outcomes touch
	reserveEach = 320       // bytes; an outcome needs about 120 to 300 more than the waiting event that it replaces
	reserveStep = 256 << 10 // bytes; the least to allocate at once
)

// admit returns an error if no events of size bytes may be put. It keeps disk space for the outcomes of the waiting events, so
// that they can be written when the disk is full: free pages of the file, and disk space allocated behind its last page. A put
// that would need this space is refused.
func (t *transaction) admit(size int) error {
	if t.size == 0 && !t.q.db.inPlace() { // once in a transaction
		return errors.New("the file was renamed, removed or replaced while it was open, and the next start would not find the event; put the file back, or restart the service once it has delivered what waits")
	}
	t.size += int64(size)
	q, used, stats := t.q, t.open.Tx().Size(), t.q.db.Stats()
	room := int64(stats.FreePageN+stats.PendingPageN)*int64(q.db.Info().PageSize) + max(q.reserved-used, 0)
	need := reserveBase + int64(t.stats.Pending+t.stats.Bulk)*reserveEach + 2*t.size
	if room >= need {
		return nil
	}
	end := used + need + max(need/4, reserveStep)
	err := q.allocate(q.db.of, used, end)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: the space that is left is kept for the outcomes of the stored events", syscall.ENOSPC)
	}
	if err == nil { // otherwise the system cannot do it
		q.reserved = end
	}
	return nil
}
