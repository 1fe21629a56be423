package boltqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/renewal"
	"go.etcd.io/bbolt"
)

// hit is called between the states of an event. Only tests set it.
var hit = func(string) {}

// request is something to write. Those that arrive while a commit runs share the next one. An error of apply fails them all.
type request struct {
	apply func(*work) error
	size  int         // of what is put, in bytes; 0: nothing
	taken atomic.Bool // by a commit, or back by who wants it no longer
	done  chan error
}

const (
	maxMessage = 1 << 20 // bytes of a message
	maxKey     = 1 << 10 // bytes of its key
)

// Put implements fprom.Queue. When it returns nil, the messages are on disk.
//
// If ctx ends first, Put returns ctx.Err(). Then the messages are stored only if their commit had begun; a caller may
// put them again, which stores nothing twice. A full disk is an error, and Put works again when there is space. A message
// may have 1 MiB.
func (q *Queue) Put(ctx context.Context, ms ...fprom.Message) error {
	events, size := make([]newEvent, len(ms)), 0
	for i, m := range ms {
		if n := len(m.Body) + len(m.Key) + len(m.Customer); n > maxMessage {
			return fmt.Errorf("fprom: a %s of %d bytes; at most %d can be stored", m.Kind, n, maxMessage)
		}
		if n := len(m.Key); n == 0 || n > maxKey {
			return fmt.Errorf("fprom: a %s whose key has %d bytes; 1 to %d can be stored: use fprom.NewMessage", m.Kind, n, maxKey)
		}
		events[i] = eventOf(m)
		size += len(events[i].encoded)
	}
	if len(ms) == 0 {
		return nil
	}
	err := q.write(ctx, size, func(w *work) (err error) {
		for i := 0; i < len(events) && err == nil; i++ {
			err = w.put(&events[i])
		}
		return err
	})
	if err != nil {
		return err
	}
	var conflicts []string
	for _, e := range events {
		if e.conflict {
			conflicts = append(conflicts, e.Key)
		}
		renewal.Warn(q.logger, e.Kind, fprom.SafeKey(e.Key), e.Bulk, e.age)
	}
	if len(conflicts) > 0 {
		return &fprom.ConflictError{Keys: conflicts}
	}
	return nil
}

// write waits until what apply does is on disk, or ctx ends.
func (q *Queue) write(ctx context.Context, size int, apply func(*work) error) error {
	if err := cmp.Or(ctx.Err(), q.usable()); err != nil {
		return err
	}
	r := &request{apply: apply, size: size, done: make(chan error, 1)}
	q.mu.Lock()
	q.requests = append(q.requests, r)
	first := len(q.requests) == 1
	q.mu.Unlock()
	if first {
		go q.commit()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		r.taken.Store(true) // if no commit has begun with it, it is not stored
		return ctx.Err()
	}
}

// commit does in one transaction what is asked for when the one before is done, and answers.
func (q *Queue) commit() {
	q.writing.Lock()
	defer q.writing.Unlock()
	debug.SetPanicOnFault(true) // a page that cannot be read is an error, not the end of the process
	q.mu.Lock()
	group := q.requests
	q.requests = nil
	q.mu.Unlock()
	size := 0
	group = slices.DeleteFunc(group, func(r *request) bool {
		if r.taken.Swap(true) {
			return true
		}
		size += r.size
		return false
	})
	if size > 0 && q.usable() == nil && !q.admits(size) {
		group = slices.DeleteFunc(group, func(r *request) bool {
			if r.size > 0 {
				r.done <- fmt.Errorf("fprom: the outbox %s takes no more: %w: what is left is for the outcomes of what it has", q.path, syscall.ENOSPC)
			}
			return r.size > 0
		})
	}
	if len(group) == 0 {
		return
	}
	w, err := q.transact(group)
	if err == nil {
		w.takeOver()
		hit("stored")
	}
	for _, r := range group {
		r.done <- err
	}
	_ = q.view(releasePages)
}

// admits reports whether the disk has room for puts of so many bytes.
func (q *Queue) admits(size int) (ok bool) {
	err := guard(func() error {
		ok = q.reserve.admits(q.db, q.now(), size, len(q.keys))
		return nil
	})
	if err != nil {
		_ = q.breakDown(err)
	}
	return ok || err != nil
}

// transact applies the group, and commits it if it changes anything. A panic of bbolt means that the file is damaged.
func (q *Queue) transact(group []*request) (w *work, err error) {
	if err := q.usable(); err != nil {
		return nil, err
	}
	var tx *bbolt.Tx
	defer func() {
		if p := recover(); p != nil {
			_ = guard(tx.Rollback) // also if tx is nil
			err = q.breakDown(fmt.Errorf("%w: %v", ErrDamaged, p))
		}
	}()
	if tx, err = q.db.Begin(true); err != nil {
		return nil, q.breakDown(err)
	}
	w = q.newWork(tx)
	err = w.apply(group)
	if stats := tx.Stats(); err != nil || stats.GetNodeCount() == 0 { // nothing is changed
		err = errors.Join(err, tx.Rollback())
		if errors.Is(err, ErrDamaged) {
			err = q.breakDown(err)
		}
		return w, err
	}
	hit("before-commit")
	id := tx.ID()
	if err := q.commitTx(tx); err != nil {
		if q.lastCommit() >= id {
			return w, q.breakDown(fmt.Errorf("the disk did not confirm a write; restart the service and check the disk: %w", err))
		}
		return w, fmt.Errorf("fprom: the outbox %s could not be written; what it has is kept, and all goes on when the disk takes writes again: %w", q.path, err)
	}
	hit("committed")
	return w, nil
}

// lastCommit is the id of the last commit that can be seen. One whose meta page was written, but not confirmed, is seen.
func (q *Queue) lastCommit() (id int) {
	err := q.view(func(tx *bbolt.Tx) error {
		id = tx.ID()
		return nil
	})
	if err != nil {
		return math.MaxInt
	}
	return id
}
