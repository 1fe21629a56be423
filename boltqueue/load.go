package boltqueue

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// maxDelay is longer than a Tracker lets an event wait by default, which is an hour. A retry that is due later, as after a step of
// the clock, is made at once.
const maxDelay = 2 * time.Hour

// load reads the waiting events. It makes the buckets of an empty file.
func (q *Queue) load() error {
	return q.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMeta) == nil {
			if err := createBuckets(tx); err != nil {
				return err
			}
		}
		return q.newTransaction(tx).load()
	})
}

func createBuckets(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint16([]byte(formatName), formatVersion))
}

// load adds the waiting events to the line, and counts the others. A damaged record is quarantined later, when its turn comes.
func (t *transaction) load() error {
	now, end, c := time.Now(), t.waiting.Sequence(), t.waiting.Cursor()
	t.q.keys = make(map[keyHash]uint32, t.waiting.Stats().KeyN)
	var items []item // allocated by the thousand, which takes less memory than one by one
	for k, v := c.First(); k != nil; k, v = c.Next() {
		seq := seqOf(k)
		if len(k) != 8 || seq > end {
			return fmt.Errorf("%w: the numbers of the events", ErrDamaged)
		}
		r, err := decode(seq, v)
		if err != nil {
			r = &record{}
		} else {
			t.q.keys[hashOf(fprom.SafeKey(r.Key))] = uint32(seq)
		}
		if t.stats.Oldest.IsZero() {
			t.stats.Oldest = r.RecordedAt
		}
		if t.q.noRun {
			t.enlist(r, seq)
			continue
		}
		if len(items) == cap(items) {
			items = make([]item, 0, 1000)
		}
		items = append(items, r.item(seq))
		it := &items[len(items)-1]
		wait := r.at.Sub(now)
		if wait > maxDelay {
			wait = 0
		}
		if r.at.IsZero() {
			t.q.line.Add(it)
		} else {
			t.q.line.AddTried(it, wait)
		}
	}
	t.stats.Dead, t.stats.Conflicts = t.dead.Stats().KeyN, t.conflicted.Stats().KeyN
	t.stats.Ledger = t.ids.Stats().KeyN - t.stats.Dead // dead letters have ids, too
	times := t.times.Cursor()
	for k, v := times.Last(); k != nil && t.stats.LastSuccess.IsZero(); k, v = times.Prev() {
		if string(v) != string(fprom.StateDead) {
			t.stats.LastSuccess = timeOf(k)
		}
	}
	t.publish()
	return nil
}
