package boltqueue

import (
	"errors"
	"fmt"
	"time"
)

// settle writes an outcome.
func (w *work) settle(o outcome) error {
	w.dirty = true
	if w.freed == nil {
		w.freed = map[*item]bool{}
	}
	w.freed[o.it] = true
	if w.pending.Get(seqKey(o.it.seq)) == nil {
		return fmt.Errorf("%w: message %d is gone", ErrDamaged, o.it.seq)
	}
	switch o.verdict {
	case done:
		return errors.Join(w.remember(o.it), w.remove(o.it))
	case dead:
		m := o.it.m
		m.Attempt++
		if err := w.bury(o.it.seq, o.info, encodeRecord(o.it.seq, record{m: m})); err != nil {
			return err
		}
		return w.remove(o.it)
	case again, held:
		return w.postpone(o)
	default:
		return fmt.Errorf("unknown verdict %d", o.verdict)
	}
}

func (w *work) bury(seq uint64, info deadInfo, rec []byte) error {
	v, err := encodeDead(seq, info, rec)
	if err != nil {
		return err
	}
	w.st.dead++
	return w.dead().Put(seqKey(seq), v)
}

// remove takes a message out that has its outcome, and lets the next of its customer follow.
func (w *work) remove(it *item) error {
	w.removed = true
	decrease(&w.st.pending)
	err := w.pending.Delete(seqKey(it.seq))
	if it.due != 0 {
		err = errors.Join(err, w.due().Delete(pairKey(it.due, it.seq)))
	}
	return errors.Join(err, w.leaveLane(it.lane, it.seq))
}

// postpone rewrites the message, and nothing else of its lane.
func (w *work) postpone(o outcome) error {
	it := o.it
	if it.due != 0 {
		if err := w.due().Delete(pairKey(it.due, it.seq)); err != nil {
			return err
		}
	}
	t, err := w.putDue(nanos(time.Unix(0, o.due)), it.seq, it.lane)
	if err != nil {
		return err
	}
	m := it.m
	if o.verdict == again {
		m.Attempt++
	}
	if it.lane != 0 {
		if err := w.lanes().Put(pairKey(it.lane, it.seq), []byte{}); err != nil {
			return err
		}
	}
	return w.pending.Put(seqKey(it.seq), encodeRecord(it.seq, record{m, int64(t)}))
}
