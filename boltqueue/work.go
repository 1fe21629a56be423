package boltqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// work is one transaction, and what it will change in memory when it has been committed.
type work struct {
	q       *Queue
	now     time.Time
	dirty   bool
	removed bool // a message left pending

	st      state
	cursor  uint64
	mark    duePoint
	nextDue uint64
	prune   int64
	placed  []*item          // become ready
	fresh   int              // so many are ready then that were never put off
	late    int              // and so many that were
	taken   map[uint64]*item // their lanes
	freed   map[*item]bool   // leave memory
	first   uint64           // seq of the oldest message, 0 if there is none
	oldest  time.Time

	added      map[hash]entry // keys
	runs       []*run
	merge      *merge
	flushed    bool // the keys in memory, and added, are in a run
	nextMark   uint64
	conflictAt []byte // see sweep
	noteAt     []byte

	tx            *bbolt.Tx
	pending, meta *bbolt.Bucket // for every transaction; the others are opened when they are needed
}

func (q *Queue) newWork(tx *bbolt.Tx) *work {
	c := &q.c
	w := &work{
		q: q, now: q.now(), st: c.st, cursor: c.cursor, mark: c.mark, nextDue: c.nextDue, prune: c.prune,
		pending: tx.Bucket(bucketPending), meta: tx.Bucket(bucketMeta),
		tx: tx, runs: c.runs, merge: c.merge, nextMark: c.nextMark, conflictAt: c.conflictAt, noteAt: c.noteAt, first: c.first, oldest: c.oldest,
	}
	w.pending.FillPercent = fillAppend
	return w
}

func (w *work) lanes() *bbolt.Bucket     { return w.tx.Bucket(bucketLanes) }
func (w *work) dead() *bbolt.Bucket      { return w.tx.Bucket(bucketDead) }
func (w *work) marks() *bbolt.Bucket     { return w.tx.Bucket(bucketMarks) }
func (w *work) runList() *bbolt.Bucket   { return w.tx.Bucket(bucketRuns) }
func (w *work) conflicts() *bbolt.Bucket { return w.tx.Bucket(bucketConflicts) }
func (w *work) due() *bbolt.Bucket       { return w.growing(bucketDue) }
func (w *work) recent() *bbolt.Bucket    { return w.growing(bucketRecent) }

// growing is a bucket that grows at its end: its pages are left full.
func (w *work) growing(name []byte) *bbolt.Bucket {
	b := w.tx.Bucket(name)
	b.FillPercent = fillAppend
	return b
}

const fillAppend = 0.95

// apply does what g says, in this order: outcomes make room and free lanes.
func (w *work) apply(g group) error {
	for _, o := range g.outcomes {
		if err := w.settle(o); err != nil {
			return err
		}
	}
	for _, r := range g.requests {
		if err := w.serve(r); err != nil {
			return err
		}
	}
	if g.fill {
		w.q.mu.Lock()
		w.fresh, w.late = len(w.q.ready.fresh), len(w.q.ready.due)
		w.q.mu.Unlock()
		if err := errors.Join(w.loadDue(), w.scan()); err != nil {
			return err
		}
	}
	if w.first == 0 || w.removed {
		w.findOldest()
	}
	if err := errors.Join(w.tendIndex(g), w.keepTime()); err != nil {
		return err
	}
	if !w.dirty {
		return nil
	}
	if len(g.outcomes) > 0 || w.cursor != w.q.c.cursor { // else it may be lower than need be
		w.st.base = w.base()
	}
	return w.meta.Put(keyState, w.st.encode())
}

// tendIndex does what is to be done for the keys, in proportion to those that were put.
func (w *work) tendIndex(g group) error {
	n := (1 + len(w.runs)/mergeRuns) * len(w.added)
	if len(g.requests)+len(g.outcomes) == 0 {
		n = mergeIdle
	}
	if n == 0 || w.q.c.backoff > 0 { // after a failure only what is needed is written
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	return w.tend(n)
}

func (w *work) serve(r *request) error {
	r.err = nil
	if r.apply != nil {
		return r.apply(w)
	}
	for i := range r.puts {
		conflict, err := w.put(&r.puts[i])
		if err != nil {
			return err
		}
		if conflict != nil {
			r.err = errors.Join(r.err, conflict)
		}
	}
	return nil
}

// put stores a message, unless its key is stored or remembered.
func (w *work) put(p *put) (conflict, err error) {
	if e, ok := w.lookup(p.hash); ok {
		pending := w.pending.Get(seqKey(e.seq)) != nil
		switch {
		case !pending && w.dead().Get(seqKey(e.seq)) != nil: // the new event takes its place
			if err := w.unbury(e.seq); err != nil {
				return nil, err
			}
		case !pending && (p.m.Kind == fprom.KindCancellation || e.seq < w.st.forget): // not remembered
		case e.digest != p.digest:
			return w.conflict(p, e)
		default:
			return nil, nil
		}
	}
	return nil, w.store(p.m, p.hash, p.digest)
}

// store appends a message.
func (w *work) store(m fprom.Message, h hash, digest uint64) error {
	seq := w.st.seq
	w.st.seq++
	w.st.pending++
	w.dirty = true
	w.addKey(h, entry{seq, digest})
	return w.pending.Put(seqKey(seq), encodeRecord(seq, record{m: m}))
}

// conflict reports a key that is used with another digest, the first time.
func (w *work) conflict(p *put, e entry) (conflict, err error) {
	k := binary.BigEndian.AppendUint64(p.hash[:16:16], p.digest)
	if w.conflicts().Get(k) == nil {
		w.dirty = true
		if err := w.conflicts().Put(k, seqKey(e.seq)); err != nil {
			return nil, err
		}
	}
	return fmt.Errorf("boltqueue: %s: %w", nameOf(p.m), fprom.ErrConflict), nil
}

// findOldest looks at the first message only.
func (w *work) findOldest() {
	w.first, w.oldest = 0, time.Time{}
	k, v := w.pending.Cursor().First()
	if k == nil {
		if w.st.pending > 0 {
			w.q.logger.Error("fprom: the outbox is damaged: messages are missing",
				slog.String("path", w.q.path), slog.Uint64("missing", w.st.pending))
			w.st.pending, w.dirty = 0, true
		}
		return
	}
	w.first = binary.BigEndian.Uint64(k)
	if w.first == w.q.c.first {
		w.oldest = w.q.c.oldest
	} else if r, err := decodeRecord(w.first, v); err == nil {
		w.oldest = r.m.RecordedAt
	}
}

func (w *work) stats() fprom.QueueStats {
	s := w.st.stats()
	s.Oldest = w.oldest
	return s
}

// update takes the transaction's effects over into c.
func (w *work) update(c *committer) {
	c.st, c.cursor, c.mark, c.nextDue, c.prune = w.st, w.cursor, w.mark, w.nextDue, w.prune
	c.first, c.oldest = w.first, w.oldest
	c.runs, c.merge, c.nextMark, c.conflictAt, c.noteAt = w.runs, w.merge, w.nextMark, w.conflictAt, w.noteAt
	if w.flushed {
		clear(c.mem)
	} else {
		maps.Copy(c.mem, w.added)
	}
	for it := range w.freed {
		delete(c.items, it.seq)
		if c.busy[it.lane] == it {
			delete(c.busy, it.lane)
		}
	}
	for _, it := range w.placed {
		c.items[it.seq] = it
		if it.lane != 0 {
			c.busy[it.lane] = it
		}
	}
}

// nameOf is the key of a message if that holds no address.
func nameOf(m fprom.Message) string {
	if m.Kind == fprom.KindSale || m.Kind == fprom.KindRefund {
		return m.Key
	}
	return m.Kind
}

// nanos is t as the file has it.
func nanos(t time.Time) uint64 { return uint64(max(t.UnixNano(), 1)) }

// decrease is n-- for a counter of a file that may be damaged.
func decrease(n *uint64) {
	if *n > 0 {
		*n--
	}
}
