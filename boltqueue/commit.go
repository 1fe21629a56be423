package boltqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/renewal"
	"go.etcd.io/bbolt"
)

// failpoint is called between the states of an event. Only tests set it.
var failpoint = func(name string) {}

// request is a change of the file. Requests that arrive while a commit runs share the next one.
type request struct {
	apply func(*transaction)
	done  chan error
}

const (
	maxMessage = 1 << 20 // bytes of a message
	maxKey     = 1 << 10 // bytes of its key

	releaseEvery = 16 // commits; after a release the next commits read their pages anew
)

// Put implements fprom.Queue. When it returns nil, the messages are on disk.
//
// If ctx ends first, Put returns ctx.Err(). Then the messages are stored only if their commit had begun. A caller may put
// them again: nothing is stored twice. If the disk is full, Put returns an error, and works again when there is space. A
// message may have at most 1 MiB.
func (q *Queue) Put(ctx context.Context, ms ...fprom.Message) error {
	size := 0
	for _, m := range ms {
		n := len(m.Body) + len(m.Key) + len(m.Customer)
		if n > maxMessage || len(m.Key) == 0 || len(m.Key) > maxKey {
			return fmt.Errorf("fprom: a %s of %d bytes with a key of %d bytes is too large, or has no key; at most %d, with a key of 1 to %d, can be stored: use fprom.NewMessage", m.Kind, n, len(m.Key), maxMessage, maxKey)
		}
		size += headSize + n
	}
	ms = slices.Clone(ms) // if ctx ends first, the commit may still read them
	known := make([]*record, len(ms))
	var refusal error
	err := q.write(ctx, func(t *transaction) {
		refusal = t.reserve(size)
		for i := 0; i < len(ms) && refusal == nil; i++ {
			known[i] = t.put(ms[i])
		}
	})
	if err != nil {
		return err
	}
	if refusal != nil {
		return fmt.Errorf("fprom: the outbox %s takes no more events: %w", q.path, refusal)
	}
	var conflicts []string
	for i, r := range known {
		switch {
		case r == nil:
		case r.Digest != ms[i].Digest:
			conflicts = append(conflicts, ms[i].Key)
		default:
			renewal.Warn(q.logger, r.Kind, fprom.SafeKey(ms[i].Key), ms[i].Bulk, ms[i].RecordedAt.Sub(r.RecordedAt))
		}
	}
	if len(conflicts) > 0 {
		return &fprom.ConflictError{Keys: conflicts}
	}
	return nil
}

// write applies a change to the file. It returns when the change is on disk, or ctx ends.
func (q *Queue) write(ctx context.Context, apply func(*transaction)) error {
	if err := cmp.Or(ctx.Err(), q.usable()); err != nil {
		return err
	}
	r := &request{apply: apply, done: make(chan error, 1)}
	select {
	case q.requests <- r:
	case <-q.life.Done():
		return q.usable()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commits writes the requests that wait in one transaction and answers them, again and again until the life of the queue ends.
func (q *Queue) commits() {
	for q.usable() == nil {
		var group []*request
		select {
		case r := <-q.requests:
			group = []*request{r}
		case <-q.life.Done():
			return
		}
		for more := true; more; {
			select {
			case r := <-q.requests:
				group = append(group, r)
			default:
				more = false
			}
		}
		err := q.transact(group)
		for _, r := range group {
			r.done <- err
		}
	}
}

// transact applies the requests, and commits if they change anything. A panic means that the file is damaged.
func (q *Queue) transact(group []*request) error {
	var tx *bbolt.Tx
	var t *transaction
	id := 0
	err := guard(func() error {
		tx = q.db.begin(true)
		id, t = tx.ID(), q.newTransaction(tx)
		for _, r := range group {
			r.apply(t)
		}
		t.findOldest()
		if stats := tx.Stats(); stats.GetNodeCount() == 0 { // nothing to commit
			return tx.Rollback()
		}
		failpoint("before-commit")
		return q.commitTx(tx)
	})
	switch {
	case errors.Is(err, ErrDamaged):
		_ = guard(tx.Rollback) // after a panic
		return q.breakDown(err)
	case err != nil && q.lastCommit() >= id:
		return q.breakDown(fmt.Errorf("the disk did not confirm a write; restart the service and check the disk: %w", err))
	case err != nil:
		return fmt.Errorf("fprom: the outbox %s could not be written; the stored events are safe, and it works again when the disk takes writes: %w", q.path, err)
	}
	q.db.last = id
	failpoint("committed")
	if id%releaseEvery == 0 {
		_ = q.view(releasePages)
	}
	t.publish()
	failpoint("stored")
	return nil
}

// lastCommit returns the id of the newest commit that a reader sees: also a commit that was written but not confirmed by the disk.
func (q *Queue) lastCommit() int {
	id := math.MaxInt // if nothing can be read
	_ = q.view(func(tx *bbolt.Tx) { id = tx.ID() })
	return id
}
