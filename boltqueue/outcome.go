package boltqueue

import (
	"bytes"
	"errors"
	"time"

	"github.com/fprom-go/fprom"
)

// retryAt stores the result of a failed attempt and the time of the next one.
func (t *transaction) retryAt(seq uint64, attempts int, res fprom.Result, failure error, due time.Time) error {
	r, err := t.readWaiting(seq)
	if err != nil {
		return err
	}
	if fprom.IsSetAside(failure) {
		r.flags |= flagAside
	}
	return errors.Join(r.setAnswer(res, failure, attempts, due, false), t.write(t.waiting, seq, r))
}

// finish stores the outcome of an event: done, or dead after a failure.
func (t *transaction) finish(seq uint64, attempts int, res fprom.Result, failure error) error {
	r, err := t.readWaiting(seq)
	if err != nil {
		return err
	}
	at, safe, repeats := time.Now().UTC(), fprom.SafeKey(r.Key), r.Repeats()
	err = r.setAnswer(res, failure, attempts, at, true)
	bucket, outcome := t.done, []byte(res.Outcome)
	if failure != nil {
		bucket, outcome = t.dead, []byte(fprom.StateDead)
		t.stats.Dead++
	} else {
		t.stats.LastSuccess = at
	}
	if failure == nil || r.flags&flagForget != 0 {
		r.erase()
	}
	if failure != nil || !repeats {
		err = errors.Join(err, t.ids.Put([]byte(safe), seqKey(seq)))
	}
	if failure == nil && !repeats {
		t.stats.Ledger++
	}
	t.keys[hashOf(safe)] = 0
	return errors.Join(err, t.waiting.Delete(seqKey(seq)), t.write(bucket, seq, r), t.times.Put(timeKey(at, seq), outcome), t.prune())
}

func (t *transaction) quarantine(seq uint64) error {
	t.stats.Dead++
	b := bytes.Clone(t.waiting.Get(seqKey(seq)))
	return errors.Join(t.waiting.Delete(seqKey(seq)), t.dead.Put(seqKey(seq), b), t.ids.Put([]byte(damagedKey(seq)), seqKey(seq)))
}

// drop removes a dead letter with its entries in ids and times. It returns false if there is none.
func (t *transaction) drop(seq uint64) (bool, error) {
	b := t.dead.Get(seqKey(seq))
	if b == nil {
		return false, nil
	}
	t.stats.Dead--
	safe, err := damagedKey(seq), error(nil)
	if r, damaged := decode(seq, b); damaged == nil {
		safe, err = fprom.SafeKey(r.Key), t.times.Delete(timeKey(r.at, seq))
	}
	return true, errors.Join(err, t.dead.Delete(seqKey(seq)), t.ids.Delete([]byte(safe)))
}

// redrive makes a dead letter the last waiting event. A damaged or erased one stays.
func (t *transaction) redrive(seq uint64) (bool, error) {
	r, err := decode(seq, t.dead.Get(seqKey(seq)))
	if err != nil || len(r.Body) == 0 {
		return false, nil //nolint:nilerr // it stays a dead letter
	}
	e := eventOf(r.Message)
	_, err = t.drop(seq)
	return true, errors.Join(err, t.store(&e))
}

// forget erases the customer of a dead letter now, and marks a waiting event to be erased at its outcome.
func (t *transaction) forget(seq uint64) (bool, error) {
	if r, err := decode(seq, t.dead.Get(seqKey(seq))); err == nil {
		r.erase()
		return true, t.write(t.dead, seq, r)
	}
	r, err := t.readWaiting(seq)
	if err != nil {
		return false, nil //nolint:nilerr // it got its outcome meanwhile, or will become a damaged dead letter
	}
	r.flags |= flagForget
	return false, t.write(t.waiting, seq, r)
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
	r, err := decode(seq, t.done.Get(seqKey(seq)))
	if err != nil {
		return t.done.Delete(seqKey(seq))
	}
	key := []byte(r.Key)
	if seqOf(t.ids.Get(key)) == seq {
		t.stats.Ledger--
		err = t.ids.Delete(key)
	}
	prefix, c := append(key, 0), t.conflicted.Cursor()
	for k, _ := c.Seek(prefix); err == nil && len(k) == len(prefix)+8 && bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		t.stats.Conflicts--
		err = c.Delete()
	}
	return errors.Join(err, t.done.Delete(seqKey(seq)))
}
