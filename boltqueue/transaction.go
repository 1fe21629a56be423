package boltqueue

import (
	"fmt"
	"hash/maphash"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// transaction changes the buckets of the file. Its changes to the memory of the queue wait for publish, after the commit.
type transaction struct {
	q                                           *Queue
	waiting, dead, done, ids, times, conflicted *bbolt.Bucket

	stats fprom.QueueStats   // see Queue.stats
	keys  map[keyHash]uint64 // changes of Queue.keys; seq 0 removes the key
	added []item             // for Queue.line
}

func (q *Queue) newTransaction(tx *bbolt.Tx) *transaction {
	t := &transaction{q: q, stats: *q.stats.Load(), keys: map[keyHash]uint64{}}
	t.waiting, t.dead, t.done = tx.Bucket(bucketWaiting), tx.Bucket(bucketDead), tx.Bucket(bucketDone)
	t.ids, t.times, t.conflicted = tx.Bucket(bucketIDs), tx.Bucket(bucketTimes), tx.Bucket(bucketConflicts)
	for _, b := range []*bbolt.Bucket{t.waiting, t.dead, t.done, t.times} {
		b.FillPercent = 1 // new keys are appended
	}
	return t
}

// apply runs the requests. The first error ends it.
func (t *transaction) apply(group []*request) error {
	for _, r := range group {
		if err := r.apply(t); err != nil {
			return err
		}
	}
	t.stats.Oldest = time.Time{}
	if k, v := t.waiting.Cursor().First(); k != nil {
		if r, err := decode(seqOf(k), v); err == nil {
			t.stats.Oldest = r.RecordedAt
		}
	}
	return nil
}

// publish applies the committed changes to the memory of the queue.
func (t *transaction) publish() {
	for hash, seq := range t.keys {
		if seq == 0 {
			delete(t.q.keys, hash)
		} else {
			t.q.keys[hash] = uint32(seq)
		}
	}
	stats := t.stats
	t.q.stats.Store(&stats)
	for i := range t.added {
		t.q.line.Add(&t.added[i])
	}
}

// newEvent is an event to put, and the result of its put.
type newEvent struct {
	record
	encoded  []byte
	conflict bool          // its key is known with another digest
	age      time.Duration // of the known event with its key and digest, if any
}

func eventOf(m fprom.Message) newEvent {
	m.Attempt = 0
	e := newEvent{record: record{Message: m}}
	if m.Bulk {
		e.flags = flagBulk
	}
	e.encoded = e.encode()
	return e
}

// keyHash is the hash of a SafeKey. If two waiting events have the same hash, a repeat of the first one is not recognised and
// sent too, which its event id makes safe. Two halves take a quarter less memory in a map than one uint64.
type keyHash [2]uint32

var seed = maphash.MakeSeed()

func hashOf(safeKey string) keyHash {
	h := maphash.String(seed, safeKey)
	return keyHash{uint32(h >> 32), uint32(h)}
}

// put stores an event, unless its key is known.
func (t *transaction) put(e *newEvent) error {
	key := fprom.SafeKey(e.Key)
	var known *record
	if seq := t.waitingSeq(hashOf(key)); seq != 0 {
		if r, err := t.readWaiting(seq); err == nil && fprom.SafeKey(r.Key) == key {
			known = r
		}
	}
	if id := t.ids.Get([]byte(key)); known == nil && id != nil {
		seq, b := seqOf(id), t.done.Get(id)
		done := b != nil
		if !done {
			b = t.dead.Get(id)
		}
		switch r, damaged := decode(seq, b); {
		case damaged == nil && fprom.SafeKey(r.Key) != key: // a flipped bit changed the id: this is another event
		case !done: // the new event replaces the dead letter
			if _, err := t.drop(seq); err != nil {
				return err
			}
		case damaged != nil: // the id is known, its amount cannot be read any more
			return nil //nolint:nilerr // as for an event with the same amount
		default:
			known = r
		}
	}
	if known == nil {
		return t.store(e)
	}
	if known.Digest == e.Digest {
		e.age = e.RecordedAt.Sub(known.RecordedAt)
		return nil
	}
	e.conflict = true
	k := conflictKey(key, e.Digest)
	if t.conflicted.Get(k) != nil {
		return nil
	}
	t.stats.Conflicts++
	return t.conflicted.Put(k, []byte{})
}

// waitingSeq returns the seq of the waiting event whose key has this hash; 0 if there is none.
func (t *transaction) waitingSeq(hash keyHash) uint64 {
	if seq, ok := t.keys[hash]; ok {
		return seq
	}
	low, ok := t.q.keys[hash]
	if !ok {
		return 0
	}
	last := t.waiting.Sequence() // all waiting events are among the last 1<<32
	return last - uint64(uint32(last)-low)
}

func (t *transaction) store(e *newEvent) error {
	seq, err := t.waiting.NextSequence()
	if err != nil {
		return err
	}
	t.keys[hashOf(fprom.SafeKey(e.Key))] = seq
	t.enlist(&e.record, seq)
	return t.waiting.Put(seqKey(seq), seal(seq, e.encoded))
}

// enlist adds a waiting event to the line, or only counts it if WithoutRun.
func (t *transaction) enlist(r *record, seq uint64) {
	switch {
	case !t.q.noRun:
		t.added = append(t.added, r.item(seq))
	case r.Bulk:
		t.stats.Bulk++
	default:
		t.stats.Pending++
	}
}

func (t *transaction) readWaiting(seq uint64) (*record, error) {
	r, err := decode(seq, t.waiting.Get(seqKey(seq)))
	if err != nil {
		return nil, fmt.Errorf("%w: event %d: %w", ErrDamaged, seq, err)
	}
	return r, nil
}

func (t *transaction) write(bucket *bbolt.Bucket, seq uint64, r *record) error {
	return bucket.Put(seqKey(seq), seal(seq, r.encode()))
}
