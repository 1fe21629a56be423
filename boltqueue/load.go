package boltqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
)

// maxDelay: a retry that is due later than this was written under a wrong clock. It is made at once.
const maxDelay = 24 * time.Hour

// load reads what waits. Of an empty file it makes an outbox.
func (q *Queue) load() error {
	tx, err := q.db.Begin(true)
	if err != nil {
		return err
	}
	fresh := tx.Bucket(bucketMeta) == nil
	if fresh {
		err = initialise(tx)
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	w := q.newWork(tx)
	damaged, err := w.load()
	for _, seq := range damaged {
		err = errors.Join(err, w.quarantine(seq))
	}
	if err != nil || !fresh && len(damaged) == 0 {
		err = errors.Join(err, tx.Rollback())
	} else {
		err = tx.Commit()
	}
	if len(damaged) > 0 && err == nil {
		q.logger.Error("fprom: stored events are damaged; they are dead letters now", slog.String("path", q.path), slog.Int("events", len(damaged)))
	}
	w.takeOver()
	return err
}

// load puts what waits in line, counts the rest, and returns the seqs of damaged records.
func (w *work) load() (damaged []uint64, err error) {
	now, end, c := time.Now(), w.waiting.Sequence(), w.waiting.Cursor()
	w.q.keys = make(map[keyHash]uint32, w.waiting.Stats().KeyN)
	var items []item // a thousand at once: one by one they would leave holes in the memory
	for k, v := c.First(); k != nil; k, v = c.Next() {
		seq := binary.BigEndian.Uint64(k)
		if len(k) != 8 || seq > end {
			return nil, fmt.Errorf("%w: the numbers of the events", ErrDamaged)
		}
		r, err := decode(seq, v)
		if err != nil {
			damaged = append(damaged, seq)
			continue
		}
		if w.stats.Oldest.IsZero() {
			w.stats.Oldest = r.RecordedAt
		}
		w.q.keys[hashOf(fprom.SafeKey(r.Key))] = uint32(seq)
		if w.q.noRun {
			w.enlist(r, seq)
			continue
		}
		if len(items) == cap(items) {
			items = make([]item, 0, 1000)
		}
		items = append(items, r.item(seq))
		it := &items[len(items)-1]
		switch wait := r.due.Sub(now); {
		case r.due.IsZero():
			w.q.line.Add(it)
		case wait > maxDelay:
			w.q.line.AddTried(it, 0)
		default:
			w.q.line.AddTried(it, wait)
		}
	}
	w.count()
	return damaged, nil
}

// count counts what does not wait.
func (w *work) count() {
	w.stats.Dead, w.stats.Conflicts = w.dead.Stats().KeyN, w.conflicted.Stats().KeyN
	w.stats.Ledger = w.ids.Stats().KeyN
	_ = w.dead.ForEach(func(k, v []byte) error { // those that can be read have an id, too
		if _, err := decode(binary.BigEndian.Uint64(k), v); err == nil {
			w.stats.Ledger--
		}
		return nil
	})
	c := w.times.Cursor()
	for k, v := c.Last(); k != nil; k, v = c.Prev() {
		if string(v) != string(fprom.StateDead) {
			w.stats.LastSuccess = timeOf(k)
			break
		}
	}
}
