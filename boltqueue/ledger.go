package boltqueue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"go.etcd.io/bbolt"
)

// A mark says what was true at some time: which messages had their outcome (all below a seq), and how many keys were
// remembered so far. When it is as old as the retention, the keys of those messages are forgotten: a Put does not see them
// any more, and merges leave them out. So nothing has to be looked for by its age.

// marksPerRetention is how many marks there are at once, about: keys are remembered for up to that fraction longer.
const marksPerRetention = 400

// keepTime writes a mark if it is time for one, and forgets what is old.
func (w *work) keepTime() error {
	now, interval := nanos(w.now), uint64(max(w.q.retention/marksPerRetention, 1))
	if w.dirty && (now >= w.nextMark || now+interval < w.nextMark) { // else the clock was wrong when the last mark was made
		oldest := w.first
		if oldest == 0 {
			oldest = w.st.seq
		}
		w.nextMark = now + interval
		if err := w.marks().Put(seqKey(now), pairKey(oldest, w.st.done)); err != nil {
			return err
		}
		if end := w.now.Add(w.q.retention).UnixNano(); w.prune == 0 || w.prune > end {
			w.prune = end
		}
	}
	if w.prune == 0 || w.prune > w.now.UnixNano() {
		return nil
	}
	return w.forget()
}

func (w *work) forget() error {
	w.dirty = true
	limit := nanos(w.now.Add(-w.q.retention))
	var old [][]byte
	w.prune = 0
	c := w.marks().Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if at := binary.BigEndian.Uint64(k); at > limit {
			w.prune = time.Unix(0, int64(at)).Add(w.q.retention).UnixNano()
			break
		}
		if len(v) == 16 {
			seq, done := splitPair(v)
			w.st.forget, w.st.forgotten = max(w.st.forget, seq), max(w.st.forgotten, min(done, w.st.done))
		}
		old = append(old, bytes.Clone(k))
	}
	for _, k := range old {
		if err := w.marks().Delete(k); err != nil {
			return err
		}
	}
	var conflicts, notes error
	w.conflictAt, conflicts = sweep(w.conflicts(), w.conflictAt, func(_, v []byte) bool {
		return len(v) == 8 && binary.BigEndian.Uint64(v) < w.st.forget
	})
	w.noteAt, notes = sweep(w.dead(), w.noteAt, func(k, v []byte) bool {
		return dropped(v) && binary.BigEndian.Uint64(k) < w.st.forget
	})
	return errors.Join(conflicts, notes)
}

const sweepStep = 256 // looked at in one transaction

// sweep removes what is old from a bucket, a few keys at a time: from the given one, to the one that it returns.
func sweep(b *bbolt.Bucket, from []byte, isOld func(k, v []byte) bool) (next []byte, err error) {
	var old [][]byte
	c := b.Cursor()
	k, v := c.Seek(from)
	for n := 0; k != nil && n < sweepStep; n++ {
		if isOld(k, v) {
			old = append(old, bytes.Clone(k))
		}
		k, v = c.Next()
	}
	next = bytes.Clone(k) // nil: from the beginning the next time
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// findMarks sets when there will be something to forget, and when the next mark is due.
func (w *work) findMarks() {
	if k, _ := w.marks().Cursor().First(); len(k) == 8 {
		w.prune = time.Unix(0, int64(binary.BigEndian.Uint64(k))).Add(w.q.retention).UnixNano()
	}
	if k, _ := w.marks().Cursor().Last(); len(k) == 8 {
		w.nextMark = binary.BigEndian.Uint64(k) + uint64(max(w.q.retention/marksPerRetention, 1))
	}
}
