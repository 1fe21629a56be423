package boltqueue

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/fprom-go/fprom"
)

// item is a message in memory: ready, leased, held, or with its outcome on the way to the disk.
type item struct {
	seq  uint64
	lane uint64
	due  uint64 // time of its entry in due, 0 if it has none
	m    fprom.Message
}

// committer is the state of the one goroutine that writes, and that decides what may be delivered. Nothing else touches
// it, but for writing. It changes only after a commit succeeded.
type committer struct {
	st      state
	cursor  uint64           // every message below it was looked at: it is in items, due or lanes, or gone
	mark    duePoint         // every entry of due up to it was loaded
	nextDue uint64           // time of the first entry after mark; 0: none
	first   uint64           // seq of the oldest message
	oldest  time.Time        // and when it was recorded
	prune   int64            // when the first mark is too old, Unix nanoseconds; 0: there is none
	items   map[uint64]*item // by seq
	busy    map[uint64]*item // by lane
	mem     map[hash]entry   // keys that are in no run
	runs    []*run
	merge   *merge // under way; nil: none

	nextMark   uint64
	conflictAt []byte // see sweep
	noteAt     []byte

	held    []outcome // few: see maxHeld
	writing bool      // under Queue.mu: the committer has a group in hand
	retryAt time.Time // after a failure
	limit   int       // outcomes in one commit
	backoff time.Duration
}

type duePoint struct{ time, seq uint64 }

const (
	lowWater  = 32  // fewer ready messages of one kind (see ready) than this: load more
	highWater = 128 // so many at most are made ready of each kind
	maxItems  = 512 // in memory, whatever their state
	maxHeld   = 64  // messages held in memory; more are written to due
	pageIn    = 256 // messages looked at in one transaction
	minWait   = 100 * time.Millisecond
	maxWait   = 5 * time.Second
)

// group is what one commit does.
type group struct {
	requests []*request
	outcomes []outcome
	fill     bool // load messages if there is room
}

// run is the committer.
func (q *Queue) run() {
	debug.SetPanicOnFault(true) // a page that cannot be read is an error, not the end of the process
	defer close(q.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		g, ok := q.nextGroup(q.now())
		if ok {
			q.commit(g)
			continue
		}
		q.mu.Lock()
		end, low := q.broken != nil || q.closing && len(q.requests) == 0, len(q.ready.due) < lowWater
		q.mu.Unlock()
		if end {
			q.finishFreelist()
			return
		}
		timer.Reset(q.c.wait(q.now(), low))
		select {
		case <-q.kick:
		case <-timer.C:
		}
	}
}

// nextGroup takes what the next commit shall do; false: nothing.
func (q *Queue) nextGroup(now time.Time) (group, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	g, ok := q.gather(now)
	q.c.writing = ok
	return g, ok
}

// gather must be called with q.mu held.
func (q *Queue) gather(now time.Time) (group, bool) {
	c := &q.c
	if q.broken != nil {
		return group{}, false
	}
	for _, it := range c.unhold(now) {
		q.ready.push(it)
		signal(q.wake)
	}
	var g group
	retry := !now.Before(c.retryAt) || q.closing && c.backoff < maxWait
	if q.stalled && retry && len(q.outcomes) > 0 {
		g.outcomes = q.takeOutcomes() // alone: they need less space than any put
		return g, true
	}
	g.requests = q.takeRequests()
	if len(g.requests) > 0 && !q.reserve.admits(now, q.freePages) {
		g.requests = q.refusePuts(g.requests)
	}
	if retry {
		g.outcomes = q.takeOutcomes()
		g.fill = !q.closing
	}
	load := g.fill && c.more(&q.ready, now)
	return g, len(g.requests)+len(g.outcomes) > 0 || load || g.fill && (c.expired(now) || c.merge != nil && c.backoff == 0)
}

// refusePuts answers the puts among requests and returns the others.
func (q *Queue) refusePuts(requests []*request) (others []*request) {
	for _, r := range requests {
		if r.apply != nil {
			others = append(others, r)
		} else {
			r.done <- q.errNoSpace()
		}
	}
	return others
}

// commit does what g says in one transaction, and tells everyone.
func (q *Queue) commit(g group) {
	g.outcomes = q.c.hold(g.outcomes)
	w, err := q.transact(g)
	if err != nil {
		q.failed(g, err)
		return
	}
	q.committed(g, w)
}

// transact applies g and commits it if it changes anything. A panic of bbolt means that the file is damaged.
func (q *Queue) transact(g group) (w *work, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = q.breakDown(fmt.Errorf("%w: %v", ErrDamaged, p))
		}
	}()
	tx, err := q.db.Begin(true)
	if err != nil {
		return nil, q.breakDown(err)
	}
	w = q.newWork(tx)
	if err := w.apply(g); err != nil {
		if err = joinErr(err, tx.Rollback()); errors.Is(err, ErrDamaged) {
			err = q.breakDown(err)
		}
		return nil, err
	}
	if !w.dirty {
		return w, tx.Rollback()
	}
	q.db.NoFreelistSync = q.freePages() > maxFreelist
	hit("before-commit")
	id := tx.ID()
	if err := q.commitTx(tx); err != nil {
		if syncFailed(err) || q.lastCommit() >= id {
			err = q.breakDown(fmt.Errorf("the disk did not confirm a write; restart the service and check the disk: %w", err))
		}
		return nil, err
	}
	hit("committed")
	return w, nil
}

// committed takes over what w did.
func (q *Queue) committed(g group, w *work) {
	c := &q.c
	w.update(c)
	q.mu.Lock()
	if w.dirty { // the disk took something
		c.backoff, c.retryAt = 0, time.Time{}
	}
	q.stalled = q.stalled && !w.dirty && len(q.outcomes) > 0
	if len(g.outcomes) == c.limit {
		c.limit = min(2*c.limit, maxGroupOutcomes)
	}
	c.writing = false
	for _, it := range w.placed {
		q.ready.push(it)
	}
	q.stats = w.stats()
	q.nextSeq = c.st.seq
	q.tellWaiters(w.first)
	if q.ready.len() > 0 {
		signal(q.wake)
	}
	q.mu.Unlock()
	if len(g.requests) > 0 {
		hit("stored")
	}
	if len(g.outcomes) > 0 {
		hit("acknowledged")
	}
	for _, r := range g.requests {
		r.done <- r.err
	}
}

// tellWaiters must be called with q.mu held. first is the seq of the oldest message.
func (q *Queue) tellWaiters(first uint64) {
	kept := q.flushers[:0]
	for _, f := range q.flushers {
		if first == 0 || first >= f.mark {
			close(f.done)
		} else {
			kept = append(kept, f)
		}
	}
	clear(q.flushers[len(kept):])
	q.flushers = kept
	if q.settled != nil && (len(q.outcomes) == 0 || q.stalled || q.broken != nil) {
		close(q.settled)
		q.settled = nil
	}
}

// failed gives the callers their error, and keeps the outcomes for another time.
func (q *Queue) failed(g group, err error) {
	err = fmt.Errorf("boltqueue: write %s: %w", q.path, err)
	c := &q.c
	q.mu.Lock()
	for _, r := range g.requests {
		r.done <- err
	}
	q.outcomes = append(g.outcomes, q.outcomes...)
	left, broken := len(q.outcomes), q.broken
	c.writing = false
	if len(g.outcomes) > 0 || g.fill {
		c.backoff = min(max(2*c.backoff, minWait), maxWait)
		c.retryAt = q.now().Add(c.backoff)
	}
	if len(g.outcomes) > 0 {
		q.stalled = true
		c.limit = max(len(g.outcomes)/4, 1) // a full disk may have room for fewer
		if diskFull(err) && q.reserve.release(q.now()) {
			c.backoff, c.retryAt = 0, time.Time{}
		}
	}
	q.tellWaiters(1)
	q.mu.Unlock()
	if broken != nil {
		q.logger.Error("fprom: the outbox is out of use", slog.String("path", q.path), slog.Any("error", err))
	} else if len(g.outcomes) > 0 || len(g.requests) == 0 { // a Put tells its caller
		q.logger.Error("fprom: the outbox could not be written; trying again",
			slog.String("path", q.path), slog.Int("outcomes", left), slog.Duration("wait", c.backoff), slog.Any("error", err))
	}
}

// breakDown puts the queue out of use: every call returns err from now on.
func (q *Queue) breakDown(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken == nil {
		q.broken = fmt.Errorf("boltqueue: %s: %w", q.path, err)
		for _, r := range q.requests {
			r.done <- q.broken
		}
		q.requests = nil
	}
	return err
}
