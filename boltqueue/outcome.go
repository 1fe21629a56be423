package boltqueue

import (
	"bytes"
	"errors"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
)

// retryAt stores the result of a failed attempt and the time of the next one.
func (t *transaction) retryAt(seq uint64, attempts int, res fprom.Result, failure error, due time.Time) error {
	r := read(t.open, seq)
	if r.damaged { // the next attempt finds that
		return nil
	}
	if fprom.IsSetAside(failure) {
		r.flags |= flagAside
	}
	return errors.Join(r.setAnswer(res, failure, attempts, due, false), t.write(t.open, seq, r))
}

// finish stores the outcome of an event: done, or dead after a failure.
func (t *transaction) finish(it *item, attempts int, res fprom.Result, failure error) error {
	seq := it.Seq
	r := read(t.open, seq)
	if r.damaged {
		return t.quarantine(it)
	}
	at := time.Now().UTC()
	err := r.setAnswer(res, failure, attempts, at, true)
	t.count(r.Bulk, -1)
	if failure == nil || r.flags&flagForget != 0 {
		r.erase()
	}
	if failure != nil {
		t.stats.Dead++
		r.flags |= flagDead
		return errors.Join(err, t.write(t.open, seq, r), t.times.Put(timeKey(at, seq), []byte(fprom.StateDead)), t.prune())
	}
	t.keys[hashOf(r.Key)] = 0 // erased, it is the SafeKey
	t.stats.LastSuccess = at
	if !r.Repeats() {
		t.stats.Ledger++
		err = errors.Join(err, t.ids.Put([]byte(r.Key), seqKey(seq)))
	}
	return errors.Join(err, t.open.Delete(seqKey(seq)), t.write(t.done, seq, r), t.times.Put(timeKey(at, seq), []byte(res.Outcome)), t.prune())
}

// quarantine makes an event that cannot be read any more a dead letter.
func (t *transaction) quarantine(it *item) error {
	t.count(it.Bulk, -1)
	t.countDamaged(it.Seq)
	if k := seqKey(it.Seq); t.open.Get(k) == nil { // its number was damaged, too
		return t.open.Put(k, nil)
	}
	return nil
}

func (t *transaction) countDamaged(seq uint64) {
	t.stats.Dead++
	t.keys[hashOf(decode(seq, nil).Key)] = seq
	t.q.logger.Error("fprom: a stored event is damaged; it becomes a dead letter", slog.String("path", t.q.path), slog.Uint64("seq", seq))
}

// drop removes a dead letter. It returns false if there is none. One that is damaged while the file is open stays until the next start.
func (t *transaction) drop(seq uint64) (bool, error) {
	b := t.open.Get(seqKey(seq))
	if b == nil {
		return false, nil
	}
	r := decode(seq, b)
	if r.damaged && t.q.openSeq(t.open.Tx(), hashOf(r.Key)) != seq {
		return false, nil // not known to be damaged yet: it may be in the line
	}
	t.stats.Dead--
	t.keys[hashOf(fprom.SafeKey(r.Key))] = 0
	return true, errors.Join(t.times.Delete(timeKey(r.at, seq)), t.open.Delete(seqKey(seq)))
}

// redrive makes a dead letter the last waiting event. A damaged or erased one stays.
func (t *transaction) redrive(seq uint64) (bool, error) {
	r := read(t.open, seq)
	if len(r.Body) == 0 {
		return false, nil
	}
	_, err := t.drop(seq)
	return true, errors.Join(err, t.store(r.Message))
}

// forget erases the customer of a dead letter now, and marks a waiting event to be erased at its outcome.
func (t *transaction) forget(seq uint64) (bool, error) {
	r := read(t.open, seq)
	switch {
	case r.damaged: // or done meanwhile
		return false, nil
	case r.dead():
		r.erase()
	}
	r.flags |= flagForget
	return r.dead(), t.write(t.open, seq, r)
}

const maxPrune = 20 // ledger entries at each outcome

// prune removes ledger entries older than the retention. Dead letters stay.
func (t *transaction) prune() error {
	c, end := t.times.Cursor(), timeKey(time.Now().Add(-t.q.retention), 0)
	for range maxPrune {
		k, _ := c.First()
		if k == nil || bytes.Compare(k, end) >= 0 {
			break
		}
		if err := errors.Join(t.removeDone(seqOfTimeKey(k)), c.Delete()); err != nil {
			return err
		}
	}
	return nil
}

// removeDone removes a done event from the ledger, with the conflicts of its id.
func (t *transaction) removeDone(seq uint64) error {
	r, err := read(t.done, seq), error(nil)
	if key := []byte(r.Key); seqOf(t.ids.Get(key)) == seq {
		t.stats.Ledger--
		err = t.ids.Delete(key)
	}
	prefix, c := append([]byte(r.Key), 0), t.conflicted.Cursor()
	for k, _ := c.Seek(prefix); err == nil && len(k) == len(prefix)+8 && bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		t.stats.Conflicts--
		err = c.Delete()
	}
	return errors.Join(err, t.done.Delete(seqKey(seq)))
}
