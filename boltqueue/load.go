package boltqueue

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// maxDelay: a retry that is due later than this was written under a wrong clock. It is made at once.
const maxDelay = 24 * time.Hour

// load reads what waits. Of an empty file it makes an outbox.
func (q *Queue) load() error {
	return q.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMeta) == nil {
			if err := initialise(tx); err != nil {
				return err
			}
		}
		return q.newWork(tx).load()
	})
}

func initialise(tx *bbolt.Tx) error {
	for _, name := range allBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint16([]byte(formatName), formatVersion))
}

// load puts what waits in line, and counts the rest. A damaged record is found again when it is its turn.
func (w *work) load() error {
	now, end, c := time.Now(), w.waiting.Sequence(), w.waiting.Cursor()
	w.q.keys = make(map[keyHash]uint32, w.waiting.Stats().KeyN)
	var items []item // a thousand at once: one by one they would leave holes in the memory
	for k, v := c.First(); k != nil; k, v = c.Next() {
		seq := binary.BigEndian.Uint64(k)
		if len(k) != 8 || seq > end {
			return fmt.Errorf("%w: the numbers of the events", ErrDamaged)
		}
		r, err := decode(seq, v)
		if err != nil {
			r = &record{}
		} else {
			w.q.keys[hashOf(fprom.SafeKey(r.Key))] = uint32(seq)
		}
		if w.stats.Oldest.IsZero() {
			w.stats.Oldest = r.RecordedAt
		}
		if w.q.noRun {
			w.enlist(r, seq)
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
			w.q.line.Add(it)
		} else {
			w.q.line.AddTried(it, wait)
		}
	}
	w.stats.Dead, w.stats.Conflicts = w.dead.Stats().KeyN, w.conflicted.Stats().KeyN
	w.stats.Ledger = w.ids.Stats().KeyN - w.stats.Dead // dead letters have ids, too
	times := w.times.Cursor()
	for k, v := times.Last(); k != nil && w.stats.LastSuccess.IsZero(); k, v = times.Prev() {
		if string(v) != string(fprom.StateDead) {
			w.stats.LastSuccess = timeOf(k)
		}
	}
	w.takeOver()
	return nil
}
