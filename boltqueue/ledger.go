package boltqueue

import (
	"bytes"
	"time"

	"github.com/fprom-go/fprom"
)

// settle stores the result of a delivery: the event is done, or dead after a failure, or tried again at next.
func (t *transaction) settle(it *item, attempts int, res fprom.Result, failure error, next time.Time) {
	seq, now := it.Seq, time.Now().UTC()
	old := t.read(seq)
	r, outcome := *old, string(res.Outcome)
	r.Attempt, r.at = attempts, next
	switch {
	case old.damaged: // by now; it was intact when it was added to the line
		if next.IsZero() { // else the next attempt finds the damage
			t.track(0, &record{Message: fprom.Message{Bulk: it.Bulk}}, -1)
			t.track(seq, old, 1)
		}
		return
	case !next.IsZero():
		if fprom.IsSetAside(failure) {
			r.flags |= flagAside
		}
	case failure != nil:
		r.at, r.state, outcome = now, fprom.StateDead, string(fprom.StateDead)
	default:
		r.at, r.state, t.stats.LastSuccess = now, fprom.StateDone, now
	}
	r.setAnswer(res, failure)
	t.remove(seq, old)
	if r.state == fprom.StateDone || r.state == fprom.StateDead && r.flags&flagForget != 0 {
		r.erase()
	}
	t.add(seq, &r)
	if r.state != fprom.StateWaiting {
		must(t.times.Put(timeKey(now, seq), []byte(outcome)))
		t.prune()
	}
}

const maxPrune = 20 // ledger entries at each outcome

// prune removes ledger entries older than the retention. Dead letters stay.
func (t *transaction) prune() {
	c, end := t.times.Cursor(), timeKey(time.Now().Add(-t.q.retention), 0)
	for range maxPrune {
		k, _ := c.First()
		if k == nil || bytes.Compare(k, end) >= 0 {
			return
		}
		t.removeDone(seqOfTimeKey(k))
		must(c.Delete())
	}
}

// removeDone removes a done event from the ledger, with the conflicts of its id.
func (t *transaction) removeDone(seq uint64) {
	r := decode(seq, t.done.Get(seqKey(seq)), true)
	if key := []byte(r.Key); seqOf(t.ids.Get(key)) == seq {
		t.stats.Ledger--
		must(t.ids.Delete(key))
	}
	t.removeConflicts(r)
	must(t.done.Delete(seqKey(seq)))
}

func (t *transaction) removeConflicts(r *record) {
	prefix, c := append([]byte(fprom.SafeKey(r.Key)), 0), t.conflicted.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		t.stats.Conflicts--
		must(c.Delete())
	}
}
