package boltqueue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// work is one transaction. What it changes in memory is taken over when it is committed.
type work struct {
	q                                           *Queue
	waiting, dead, done, ids, times, conflicted *bbolt.Bucket

	stats fprom.QueueStats   // see Queue.stats
	keys  map[keyHash]uint64 // changes of Queue.keys; 0: it waits no more
	added []item
}

func (q *Queue) newWork(tx *bbolt.Tx) *work {
	w := &work{q: q, stats: *q.stats.Load(), keys: map[keyHash]uint64{}}
	w.waiting, w.dead, w.done = tx.Bucket(bucketWaiting), tx.Bucket(bucketDead), tx.Bucket(bucketDone)
	w.ids, w.times, w.conflicted = tx.Bucket(bucketIDs), tx.Bucket(bucketTimes), tx.Bucket(bucketConflicts)
	for _, b := range []*bbolt.Bucket{w.waiting, w.dead, w.done, w.times} {
		b.FillPercent = 1 // they grow at their end
	}
	return w
}

// apply does what the group asks for. An error is that of all.
func (w *work) apply(group []*request) error {
	for _, r := range group {
		if err := r.apply(w); err != nil {
			return err
		}
	}
	w.stats.Oldest = time.Time{}
	if k, v := w.waiting.Cursor().First(); k != nil {
		if r, err := decode(binary.BigEndian.Uint64(k), v); err == nil {
			w.stats.Oldest = r.RecordedAt
		}
	}
	return nil
}

// takeOver lets the memory follow what is committed.
func (w *work) takeOver() {
	for hash, seq := range w.keys {
		if seq == 0 {
			delete(w.q.keys, hash)
		} else {
			w.q.keys[hash] = uint32(seq)
		}
	}
	stats := w.stats
	w.q.stats.Store(&stats)
	for i := range w.added {
		w.q.line.Add(&w.added[i])
	}
}

// newEvent is a message that Put was given, and what became of it.
type newEvent struct {
	record
	encoded  []byte
	conflict bool          // an event with its key and another digest is known
	age      time.Duration // how much older the known event with its key and digest is
}

func eventOf(m fprom.Message) newEvent {
	m.Attempt = 0
	e := newEvent{record: record{Message: m}}
	e.encoded = e.encode()
	return e
}

// keyHash is the hash of a SafeKey. Should two messages have the same, the first is not recognised while both wait: put again
// it would be sent again, which its event id makes safe. In halves it takes a third less memory in a map.
type keyHash [2]uint32

var seed = maphash.MakeSeed()

func hashOf(safeKey string) keyHash {
	h := maphash.String(seed, safeKey)
	return keyHash{uint32(h >> 32), uint32(h)}
}

// put stores an event, unless its key is known.
func (w *work) put(e *newEvent) error {
	key := fprom.SafeKey(e.Key)
	var known *record
	if seq := w.waits(hashOf(key)); seq != 0 {
		if r, err := w.read(seq); err == nil && fprom.SafeKey(r.Key) == key {
			known = r
		}
	}
	if id := w.ids.Get([]byte(key)); known == nil && id != nil {
		seq, b := binary.BigEndian.Uint64(id), w.done.Get(id)
		done := b != nil
		if !done {
			b = w.dead.Get(id)
		}
		switch r, damaged := decode(seq, b); {
		case damaged == nil && fprom.SafeKey(r.Key) != key: // a flipped bit changed the id: this is another event
		case !done: // the new event replaces the dead letter
			if err := w.removeDead(seq, key); err != nil {
				return err
			}
		case damaged != nil: // the id is known, its amount cannot be read any more
			return nil //nolint:nilerr // as for an event with the same amount
		default:
			known = r
		}
	}
	if known == nil {
		return w.store(e)
	}
	if known.Digest == e.Digest {
		e.age = e.RecordedAt.Sub(known.RecordedAt)
		return nil
	}
	e.conflict = true
	k := conflictKey(key, e.Digest)
	if w.conflicted.Get(k) != nil {
		return nil
	}
	w.stats.Conflicts++
	return w.conflicted.Put(k, []byte{})
}

// waits is the seq of what waits and has a key with this hash; 0 if there is none.
func (w *work) waits(hash keyHash) uint64 {
	if seq, ok := w.keys[hash]; ok {
		return seq
	}
	low, ok := w.q.keys[hash]
	if !ok {
		return 0
	}
	end := w.waiting.Sequence() // what waits is among the last 1<<32
	return end - uint64(uint32(end)-low)
}

// store adds a message at the end of what waits.
func (w *work) store(e *newEvent) error {
	seq, err := w.waiting.NextSequence()
	if err != nil {
		return err
	}
	w.keys[hashOf(fprom.SafeKey(e.Key))] = seq
	w.enlist(&e.record, seq)
	return w.waiting.Put(seqKey(seq), seal(seq, e.encoded))
}

// enlist puts in line what waits, or counts it where there is no line.
func (w *work) enlist(r *record, seq uint64) {
	switch {
	case !w.q.noRun:
		w.added = append(w.added, r.item(seq))
	case r.Bulk:
		w.stats.Bulk++
	default:
		w.stats.Pending++
	}
}

// read is a message that waits.
func (w *work) read(seq uint64) (*record, error) {
	r, err := decode(seq, w.waiting.Get(seqKey(seq)))
	if err != nil {
		return nil, fmt.Errorf("%w: event %d: %w", ErrDamaged, seq, err)
	}
	return r, nil
}

func (w *work) write(bucket *bbolt.Bucket, seq uint64, r *record) error {
	return bucket.Put(seqKey(seq), seal(seq, r.encode()))
}

// postpone notes why a message is tried again, and when.
func (w *work) postpone(seq uint64, attempts int, res fprom.Result, failure error, due time.Time) error {
	r, err := w.read(seq)
	if err != nil {
		return err
	}
	r.aside = r.aside || fprom.IsSetAside(failure)
	return errors.Join(r.setAnswer(res, failure, attempts, due, false), w.write(w.waiting, seq, r))
}

// finish writes the outcome of a message: it is done, or dead.
func (w *work) finish(seq uint64, attempts int, res fprom.Result, failure error) error {
	r, err := w.read(seq)
	if err != nil {
		return err
	}
	at, safe, repeats := w.q.now().UTC(), fprom.SafeKey(r.Key), r.Repeats()
	err = r.setAnswer(res, failure, attempts, at, true)
	bucket, what := w.done, []byte(res.Outcome)
	if failure != nil {
		bucket, what = w.dead, []byte(fprom.StateDead)
		w.stats.Dead++
	} else {
		w.stats.LastSuccess = at
	}
	if failure == nil || r.forget {
		r.erase()
	}
	if failure != nil || !repeats {
		err = errors.Join(err, w.ids.Put([]byte(safe), seqKey(seq)))
	}
	if failure == nil && !repeats {
		w.stats.Ledger++
	}
	w.keys[hashOf(safe)] = 0
	return errors.Join(err, w.waiting.Delete(seqKey(seq)), w.write(bucket, seq, r), w.times.Put(timeKey(at, seq), what), w.prune())
}

// quarantine makes a dead letter of a record that cannot be read.
func (w *work) quarantine(seq uint64) error {
	w.stats.Dead++
	b := bytes.Clone(w.waiting.Get(seqKey(seq)))
	return errors.Join(w.waiting.Delete(seqKey(seq)), w.dead.Put(seqKey(seq), b), w.ids.Put([]byte(damagedKey(seq)), seqKey(seq)))
}

// removeDead removes a dead letter, its key and its outcome.
func (w *work) removeDead(seq uint64, safeKey string) (err error) {
	if b := w.dead.Get(seqKey(seq)); b != nil {
		w.stats.Dead--
		if r, damaged := decode(seq, b); damaged == nil {
			err = w.times.Delete(timeKey(r.at, seq))
		}
	}
	return errors.Join(err, w.dead.Delete(seqKey(seq)), w.ids.Delete([]byte(safeKey)))
}

// redrive puts a dead letter at the end of what waits, if it has all that is to be sent.
func (w *work) redrive(seq uint64) (bool, error) {
	r, err := decode(seq, w.dead.Get(seqKey(seq)))
	if err != nil || len(r.Body) == 0 {
		return false, nil //nolint:nilerr // it stays
	}
	e := eventOf(r.Message)
	return true, errors.Join(w.removeDead(seq, fprom.SafeKey(r.Key)), w.store(&e))
}

// drop removes a dead letter for good.
func (w *work) drop(seq uint64) (bool, error) {
	b := w.dead.Get(seqKey(seq))
	if b == nil {
		return false, nil
	}
	safe := damagedKey(seq)
	if r, err := decode(seq, b); err == nil {
		safe = fprom.SafeKey(r.Key)
	}
	return true, w.removeDead(seq, safe)
}

// forget erases the customer of a dead letter now, and lets that of a waiting message be erased with its outcome.
func (w *work) forget(seq uint64) (bool, error) {
	if r, err := decode(seq, w.dead.Get(seqKey(seq))); err == nil {
		r.erase()
		return true, w.write(w.dead, seq, r)
	}
	r, err := w.read(seq)
	if err != nil {
		return false, nil //nolint:nilerr // it has its outcome meanwhile, or will be a damaged dead letter
	}
	r.forget = true
	return false, w.write(w.waiting, seq, r)
}

const pruneMost = 20 // ids with each outcome

// prune forgets ids whose outcome is too old. Dead letters stay.
func (w *work) prune() error {
	c, end := w.times.Cursor(), timeKey(w.q.now().Add(-w.q.retention), 0)
	for range pruneMost {
		k, _ := c.First()
		if k == nil || bytes.Compare(k, end) >= 0 {
			break
		}
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
	key := []byte(r.Key)
	if id := w.ids.Get(key); bytes.Equal(id, seq) {
		w.stats.Ledger--
		err = w.ids.Delete(key)
	}
	prefix, c := append(key, 0), w.conflicted.Cursor()
	for k, _ := c.Seek(prefix); err == nil && len(k) == len(prefix)+8 && bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		w.stats.Conflicts--
		err = c.Delete()
	}
	return errors.Join(err, w.done.Delete(seq))
}
