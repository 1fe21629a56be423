package boltqueue

import (
	"encoding/binary"
	"hash/maphash"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// transaction changes the buckets of the file. The memory of the queue changes only after the commit, in publish.
type transaction struct {
	q                                  *Queue
	open, done, ids, times, conflicted *bbolt.Bucket

	stats fprom.QueueStats   // see Queue.stats
	first uint64             // see Queue.first
	keys  map[keyHash]uint64 // changes of Queue.keys; seq 0 removes the key
	after []func()           // called by publish: they add new events to the line, or log
	size  int64              // of the events to put, in bytes
}

func (q *Queue) newTransaction(tx *bbolt.Tx) *transaction {
	t := &transaction{q: q, stats: *q.stats.Load(), first: q.first, keys: map[keyHash]uint64{}}
	t.open, t.done, t.ids = tx.Bucket(bucketOpen), tx.Bucket(bucketDone), tx.Bucket(bucketIDs)
	t.times, t.conflicted = tx.Bucket(bucketTimes), tx.Bucket(bucketConflicts)
	for _, b := range []*bbolt.Bucket{t.open, t.done, t.times} {
		b.FillPercent = 1 // new keys are appended
	}
	return t
}

// findOldest finds the oldest waiting event.
func (t *transaction) findOldest() {
	t.stats.Oldest = time.Time{}
	c := t.open.Cursor()
	for k, v := c.Seek(seqKey(t.first)); k != nil; k, v = c.Next() {
		if t.first = seqOf(k); waits(t.first, v) {
			t.stats.Oldest = recordedAt(v)
			return
		}
	}
}

// publish applies the committed changes to the memory of the queue.
func (t *transaction) publish() {
	t.q.mu.Lock()
	for hash, seq := range t.keys {
		if seq == 0 {
			delete(t.q.keys, hash)
		} else {
			t.q.keys[hash], t.q.last = uint32(seq), max(t.q.last, seq)
		}
	}
	t.q.mu.Unlock()
	clear(t.keys)
	t.q.first = t.first
	t.q.stats.Store(&t.stats)
	for _, f := range t.after {
		f()
	}
	t.after = nil
}

// keyHash is the hash of a SafeKey. If two open events have the same hash, a repeat of the first one is not recognized
// and is sent too, which its event id makes safe. Two halves take a quarter less memory in a map than one uint64.
type keyHash [2]uint32

var seed = maphash.MakeSeed()

func hashOf(safeKey string) keyHash {
	h := maphash.String(seed, safeKey)
	return keyHash{uint32(h >> 32), uint32(h)}
}

// put stores an event, unless its key is known: then it returns the known event. It replaces a dead letter.
func (t *transaction) put(m fprom.Message) (known *record) {
	key := fprom.SafeKey(m.Key)
	known, seq := t.find(key, m)
	if known != nil && known.state == fprom.StateDead {
		t.drop(seq)
		known = nil
	}
	if known == nil {
		t.store(m)
		return nil
	}
	k := binary.BigEndian.AppendUint64(append([]byte(key), 0), m.Digest)
	if known.Digest != m.Digest && t.conflicted.Get(k) == nil {
		t.stats.Conflicts++
		must(t.conflicted.Put(k, []byte{}))
	}
	return known
}

// find returns the stored event with this SafeKey; nil if there is none. If the done event of a known id can no longer be read,
// m counts as its repeat.
func (t *transaction) find(key string, m fprom.Message) (*record, uint64) {
	seq := t.openSeq(hashOf(key))
	if r := t.read(seq); !r.damaged && fprom.SafeKey(r.Key) == key {
		return r, seq
	}
	id := t.ids.Get([]byte(key))
	if id == nil {
		return nil, 0
	}
	r := decode(seqOf(id), t.done.Get(id), true)
	switch {
	case r.damaged:
		r = &record{Message: m}
	case r.Key != key:
		r = nil // a flipped bit changed the id of another event to key
	}
	return r, 0
}

// openSeq is Queue.openSeq with the changes of t.
func (t *transaction) openSeq(hash keyHash) uint64 {
	if seq, changed := t.keys[hash]; changed {
		return seq
	}
	return t.q.openSeq(hash)
}

// openSeq returns the seq of the open event whose key has this hash; 0 if there is none.
func (q *Queue) openSeq(hash keyHash) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	low, ok := q.keys[hash]
	if !ok {
		return 0
	}
	return q.last - uint64(uint32(q.last)-low) // all open events are among the last 1<<32
}

// store makes m the last waiting event.
func (t *transaction) store(m fprom.Message) {
	m.Attempt = 0
	r := &record{Message: m, state: fprom.StateWaiting}
	seq, err := t.open.NextSequence()
	must(err)
	t.after = append(t.after, func() { t.q.line.Add(r.item(seq)) })
	t.add(seq, r)
}

func (t *transaction) read(seq uint64) *record { return decode(seq, t.open.Get(seqKey(seq)), false) }

// add stores an event, and remove removes one that is open, a dead letter also from the history. They update the figures and the keys.
func (t *transaction) add(seq uint64, r *record) {
	if r.state != fprom.StateDone {
		t.track(seq, r, 1)
		must(t.open.Put(seqKey(seq), r.encode(seq)))
		return
	}
	must(t.done.Put(seqKey(seq), r.encode(seq)))
	if !r.Repeats() {
		t.stats.Ledger++
		must(t.ids.Put([]byte(r.Key), seqKey(seq)))
	}
}

func (t *transaction) remove(seq uint64, r *record) {
	t.track(0, r, -1)
	must(t.open.Delete(seqKey(seq)), t.times.Delete(timeKey(r.at, seq)))
}

// track adds n to the figure of an open event's state. seq is 0 if the event is no longer stored.
func (t *transaction) track(seq uint64, r *record, n int) {
	t.keys[hashOf(fprom.SafeKey(r.Key))] = seq
	if r.damaged && n > 0 {
		t.after = append(t.after, func() {
			t.q.logger.Error("fprom: a stored event is damaged; it becomes a dead letter", slog.String("path", t.q.path), slog.Uint64("seq", seq))
		})
	}
	switch {
	case r.state == fprom.StateDead:
		t.stats.Dead += n
	case r.Bulk:
		t.stats.Bulk += n
	default:
		t.stats.Pending += n
	}
}
