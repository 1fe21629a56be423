package boltqueue

import (
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// maxDelay is longer than a Tracker lets an event wait by default, which is an hour. A retry that is due later, as after a step of
// the clock, is made at once.
const maxDelay = 2 * time.Hour

// load reads the open events. It makes the buckets of an empty file.
func (q *Queue) load() error {
	return q.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMeta) == nil {
			for _, name := range allBuckets {
				if _, err := tx.CreateBucketIfNotExists(name); err != nil {
					return err
				}
			}
			if err := tx.Bucket(bucketMeta).Put(keyFormat, []byte(format)); err != nil {
				return err
			}
		}
		t := q.newTransaction(tx)
		err := t.load()
		_ = t.admit(0) // reserve the space for what waits
		return err
	})
}

// load adds the waiting events to the line, and counts the others. An event that cannot be read is a dead letter.
func (t *transaction) load() error {
	end, c := t.open.Sequence(), t.open.Cursor()
	t.q.keys = make(map[keyHash]uint32, t.open.Stats().KeyN)
	for k, v := c.First(); k != nil; k, v = c.Next() {
		seq := seqOf(k)
		if len(k) != 8 || seq > end {
			return fmt.Errorf("%w: an event has a wrong number", ErrDamaged)
		}
		r := decode(seq, v, false)
		t.track(seq, r, 1)
		if r.state == fprom.StateWaiting {
			t.q.enlist(r, seq)
		}
		t.publish() // so that no second map has all keys
	}
	t.stats.Ledger, t.stats.Conflicts = t.ids.Stats().KeyN, t.conflicted.Stats().KeyN
	times := t.times.Cursor()
	for k, v := times.Last(); k != nil && t.stats.LastSuccess.IsZero(); k, v = times.Prev() {
		if string(v) != string(fprom.StateDead) {
			t.stats.LastSuccess = timeOf(k)
		}
	}
	t.findOldest()
	t.publish()
	return nil
}

// enlist adds an event of an earlier process to the line.
func (q *Queue) enlist(r *record, seq uint64) {
	switch wait := time.Until(r.at); {
	case r.at.IsZero():
		q.line.Add(r.item(seq))
	case wait > maxDelay:
		q.line.AddTried(r.item(seq), 0)
	default:
		q.line.AddTried(r.item(seq), wait)
	}
}
