package boltqueue

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/bbolt"
)

// maxDelay: a retry that is due later than this was written under a wrong clock. It is made at once.
const maxDelay = 24 * time.Hour

// load reads what waits. Of an empty file it makes an outbox.
func (q *Queue) load() error {
	tx, err := q.db.Begin(true)
	if err != nil {
		return err
	}
	w := &work{q: q}
	damaged, err := w.load(tx)
	if err != nil || !w.dirty {
		return errors.Join(err, tx.Rollback())
	}
	if damaged > 0 {
		q.logger.Error("fprom: stored events are damaged; they are dead letters now", slog.String("path", q.path), slog.Int("events", damaged))
	}
	return tx.Commit()
}

func (w *work) load(tx *bbolt.Tx) (int, error) {
	if tx.Bucket(bucketMeta) == nil {
		w.dirty = true
		if err := initialise(tx); err != nil {
			return 0, err
		}
	}
	w.begin(tx)
	var err error
	if w.counters, err = readCounters(tx); err != nil {
		return 0, err
	}
	damaged, err := w.line()
	if err != nil {
		return 0, err
	}
	for _, seq := range damaged {
		if err := w.quarantine(seq); err != nil {
			return 0, err
		}
	}
	if err := w.apply(nil); err != nil {
		return 0, err
	}
	w.takeOver()
	return len(damaged), nil
}

// line puts what waits in line, and returns the seqs of damaged records.
func (w *work) line() (damaged []uint64, err error) {
	now, last, end := time.Now(), uint64(0), w.waiting.Sequence()
	c := w.waiting.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) != 8 {
			return nil, fmt.Errorf("%w: the numbers of the events", ErrDamaged)
		}
		seq := binary.BigEndian.Uint64(k)
		if seq <= last || seq > end {
			return nil, fmt.Errorf("%w: the order of the events", ErrDamaged)
		}
		last = seq
		h, err := decodeHead(seq, v)
		switch {
		case err != nil:
			damaged = append(damaged, seq)
			continue
		case h.due == 0:
			w.q.line.Add(h.item(seq))
		default:
			wait := time.Unix(0, h.due).Sub(now)
			if wait > maxDelay {
				wait = 0
			}
			w.q.line.AddTried(h.item(seq), wait)
		}
		w.q.keys[h.slot] = seq
	}
	return damaged, nil
}

func readCounters(tx *bbolt.Tx) (c counters, err error) {
	if err := json.Unmarshal(tx.Bucket(bucketMeta).Get(keyCounters), &c); err != nil {
		return c, fmt.Errorf("%w: the counters cannot be read", ErrDamaged)
	}
	return c, nil
}
