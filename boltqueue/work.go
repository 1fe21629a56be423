package boltqueue

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// counters is the record meta/counters.
type counters struct {
	Ledger      int       `json:"ledger"`                // ids of what is done
	Dead        int       `json:"dead"`                  // dead letters
	Conflicts   int       `json:"conflicts"`             // pairs in conflicts
	LastSuccess time.Time `json:"last_success,omitzero"` // when the last event was done
}

// work is one transaction. What it changes in memory is taken over when it is committed.
type work struct {
	q                                                 *Queue
	meta, waiting, dead, done, ids, times, conflicted *bbolt.Bucket

	dirty    bool
	counters counters
	oldest   time.Time
	added    []*item
	taken    []taken  // slots in Queue.keys, to be given back if the commit fails
	freed    []uint64 // slots to be freed
}

// taken is a slot in Queue.keys and what was in it.
type taken struct {
	slot, seq uint64
	had       bool
}

// undo gives back what was taken in memory.
func (w *work) undo() {
	for _, t := range slices.Backward(w.taken) {
		if t.had {
			w.q.keys[t.slot] = t.seq
		} else {
			delete(w.q.keys, t.slot)
		}
	}
}

func (w *work) begin(tx *bbolt.Tx) {
	w.meta, w.waiting, w.dead, w.done = tx.Bucket(bucketMeta), tx.Bucket(bucketWaiting), tx.Bucket(bucketDead), tx.Bucket(bucketDone)
	w.ids, w.times, w.conflicted = tx.Bucket(bucketIDs), tx.Bucket(bucketTimes), tx.Bucket(bucketConflicts)
	for _, b := range []*bbolt.Bucket{w.waiting, w.dead, w.done, w.times} {
		b.FillPercent = 1 // they grow at their end
	}
	w.q.mu.Lock()
	w.counters = w.q.counters
	w.q.mu.Unlock()
}

// apply does what the group asks for. An error is that of all.
func (w *work) apply(group []*request) error {
	before := w.counters
	for _, r := range group {
		if err := r.apply(w); err != nil {
			return err
		}
	}
	if k, v := w.waiting.Cursor().First(); k != nil {
		if r, err := decode(binary.BigEndian.Uint64(k), v); err == nil {
			w.oldest = r.Entry.RecordedAt
		}
	}
	if w.counters == before {
		return nil
	}
	w.dirty = true
	b, err := json.Marshal(w.counters)
	return errors.Join(err, w.meta.Put(keyCounters, b))
}

// put reports whether the message is stored, or known with the same digest.
func (w *work) put(p *put) (ok bool, err error) {
	slot, stands := w.find(p.safe, p.hash)
	if id := w.ids.Get([]byte(p.safe)); stands == nil && len(id) == 9 {
		switch id[0] {
		case idDead:
			if err := w.unbury(id[1:], p.safe); err != nil {
				return false, err
			}
		case idDone:
			if stands, err = decode(binary.BigEndian.Uint64(id[1:]), w.done.Get(id[1:])); err != nil {
				return true, nil //nolint:nilerr // the id is remembered; with what amount nobody knows any more
			}
		}
	}
	if stands == nil {
		return true, w.store(p.record, slot)
	}
	k := conflictKey(p.safe, p.digest)
	if stands.Digest == p.digest || w.conflicted.Get(k) != nil {
		return stands.Digest == p.digest, nil
	}
	w.counters.Conflicts++
	return false, w.conflicted.Put(k, []byte{})
}

// find looks for a key among what waits. If it is not there, slot is where it would be.
func (w *work) find(safeKey string, hash uint64) (slot uint64, r *record) {
	for slot = hash; ; slot++ {
		seq, ok := w.q.keys[slot]
		if !ok || slices.Contains(w.freed, slot) {
			return slot, nil
		}
		if r, err := decode(seq, w.waiting.Get(seqKey(seq))); err == nil && r.Entry.Key == safeKey {
			return slot, r
		}
	}
}

// store adds a record at the end of what waits.
func (w *work) store(b []byte, slot uint64) error {
	seq, err := w.waiting.NextSequence()
	if err != nil {
		return err
	}
	w.dirty = true
	old, had := w.q.keys[slot]
	w.taken = append(w.taken, taken{slot, old, had})
	w.q.keys[slot] = seq
	w.freed = slices.DeleteFunc(w.freed, func(s uint64) bool { return s == slot })
	b = seal(b, seq, slot)
	h, err := decodeHead(seq, b)
	w.added = append(w.added, h.item(seq))
	return errors.Join(err, w.waiting.Put(seqKey(seq), b))
}

// change writes what f makes of a record that waits.
func (w *work) change(seq uint64, f func(*record)) error {
	r, err := decode(seq, w.waiting.Get(seqKey(seq)))
	if err != nil {
		return fmt.Errorf("%w: event %d: %w", ErrDamaged, seq, err)
	}
	f(r)
	return w.write(w.waiting, seq, r)
}

func (w *work) write(bucket *bbolt.Bucket, seq uint64, r *record) error {
	w.dirty = true
	b, err := r.encode()
	return errors.Join(err, bucket.Put(seqKey(seq), seal(b, seq, r.slot)))
}

// finish writes the outcome of a message: it is done, or dead.
func (w *work) finish(seq uint64, attempts int, res fprom.Result, failure error) error {
	r, err := decode(seq, w.waiting.Get(seqKey(seq)))
	if err != nil {
		return fmt.Errorf("%w: event %d: %w", ErrDamaged, seq, err)
	}
	w.freed = append(w.freed, r.slot)
	at := w.q.now().UTC()
	r.answer(res, failure, at)
	r.Entry.Attempts, r.Aside = attempts, false
	bucket, state, code := w.done, byte(idDone), outcomes[res.Outcome]
	switch {
	case failure != nil:
		bucket, state, code = w.dead, idDead, idDead
		w.counters.Dead++
	case r.message().Repeats():
		state = idRepeat
		w.counters.LastSuccess = at
	default:
		w.counters.Ledger++
		w.counters.LastSuccess = at
	}
	if failure == nil || r.Forget {
		r.erase()
	}
	return errors.Join(
		w.waiting.Delete(seqKey(seq)),
		w.write(bucket, seq, r),
		w.ids.Put([]byte(r.Entry.Key), append([]byte{state}, seqKey(seq)...)),
		w.times.Put(timeKey(at, seq), []byte{code}),
	)
}

// quarantine makes a dead letter of a record that cannot be read.
func (w *work) quarantine(seq uint64) error {
	w.dirty = true
	for slot, s := range w.q.keys {
		if s == seq {
			w.freed = append(w.freed, slot)
		}
	}
	w.counters.Dead++
	b := bytes.Clone(w.waiting.Get(seqKey(seq)))
	return errors.Join(w.waiting.Delete(seqKey(seq)), w.dead.Put(seqKey(seq), b))
}

// unbury removes a dead letter and its key, if that is known.
func (w *work) unbury(seq []byte, safeKey string) error {
	w.dirty = true
	if w.dead.Get(seq) != nil {
		w.counters.Dead--
	}
	return errors.Join(w.dead.Delete(bytes.Clone(seq)), w.ids.Delete([]byte(safeKey)))
}

// redrive puts a dead letter at the end of what waits, if it has all that is to be sent.
func (w *work) redrive(seq uint64) (bool, error) {
	r, err := decode(seq, w.dead.Get(seqKey(seq)))
	if err != nil || len(r.Body) == 0 {
		return false, nil //nolint:nilerr // it stays
	}
	safe := r.Entry.Key
	slot, stands := w.find(safe, hashKey(safe))
	if stands != nil {
		return false, nil
	}
	b, err := newRecord(r.message()).encode()
	return true, errors.Join(err, w.unbury(seqKey(seq), safe), w.store(b, slot))
}

// drop removes a dead letter for good.
func (w *work) drop(seq uint64) (bool, error) {
	b := w.dead.Get(seqKey(seq))
	if b == nil {
		return false, nil
	}
	safe := ""
	if r, err := decode(seq, b); err == nil {
		safe = r.Entry.Key
	}
	return true, w.unbury(seqKey(seq), safe)
}

// forget erases the customer of a dead letter now, and lets that of a waiting message be erased with its outcome.
func (w *work) forget(seq uint64) (bool, error) {
	if r, err := decode(seq, w.dead.Get(seqKey(seq))); err == nil {
		r.erase()
		return true, w.write(w.dead, seq, r)
	}
	if _, err := decode(seq, w.waiting.Get(seqKey(seq))); err != nil {
		return false, nil //nolint:nilerr // it has its outcome meanwhile, or will be a damaged dead letter
	}
	return false, w.change(seq, func(r *record) { r.Forget = true })
}

// How much is forgotten at once, and how often.
const (
	pruneEvery = time.Minute
	pruneMost  = 1000
)

// prune forgets ids whose outcome is too old. Dead letters stay.
func (w *work) prune() error {
	c := w.times.Cursor()
	end := timeKey(w.q.now().Add(-w.q.retention), 0)
	for range pruneMost {
		k, _ := c.First()
		if k == nil || bytes.Compare(k, end) >= 0 {
			break
		}
		w.dirty = true
		if err := errors.Join(w.forgetID(bytes.Clone(k[8:])), c.Delete()); err != nil {
			return err
		}
	}
	return nil
}

// forgetID removes what is done from the ledger, with its conflicts.
func (w *work) forgetID(seq []byte) error {
	r, err := decode(binary.BigEndian.Uint64(seq), w.done.Get(seq))
	if err != nil {
		return w.done.Delete(seq)
	}
	key := []byte(r.Entry.Key)
	if id := w.ids.Get(key); len(id) == 9 && bytes.Equal(id[1:], seq) {
		if id[0] == idDone {
			w.counters.Ledger--
		}
		err = w.ids.Delete(key)
	}
	prefix, c := append(key, 0), w.conflicted.Cursor()
	for k, _ := c.Seek(prefix); err == nil && len(k) == len(prefix)+8 && bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		w.counters.Conflicts--
		err = c.Delete()
	}
	return errors.Join(err, w.done.Delete(seq))
}
