package boltqueue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// room is how many more messages of a kind may be made ready, of which n are.
func (w *work) room(n int) int {
	return min(highWater-n, maxItems-len(w.q.c.items)-len(w.placed)+len(w.freed))
}

func (w *work) loaded(seq uint64) bool {
	it, ok := w.q.c.items[seq]
	return ok && !w.freed[it]
}

func (w *work) isBusy(lane uint64) bool {
	if _, ok := w.taken[lane]; ok {
		return true
	}
	it, ok := w.q.c.busy[lane]
	return ok && !w.freed[it]
}

// scan looks at the messages from the cursor on: they become ready, or wait in their lane.
func (w *work) scan() error {
	var bad []uint64
	c := w.pending.Cursor()
	k, v := c.Seek(seqKey(w.cursor))
	for n := 0; k != nil && n < pageIn && w.room(w.fresh) > 0; n++ {
		seq := binary.BigEndian.Uint64(k)
		if seq < w.cursor {
			return fmt.Errorf("%w: the order of the messages", ErrDamaged)
		}
		w.cursor = seq + 1
		if !w.loaded(seq) {
			if r, err := decodeRecord(seq, v); err != nil {
				bad = append(bad, seq)
			} else if err := w.place(seq, r); err != nil {
				return err
			}
		}
		k, v = c.Next()
	}
	if k == nil {
		w.cursor = w.st.seq
	}
	for _, seq := range bad {
		if err := w.quarantine(seq); err != nil {
			return err
		}
	}
	return nil
}

// place makes a message ready unless it waits for its time or for an older one of its customer.
func (w *work) place(seq uint64, r record) error {
	lane := laneOf(r.m.Customer)
	if lane == 0 {
		if r.due == 0 {
			w.makeReady(&item{seq: seq, m: r.m})
		}
		return nil
	}
	first := w.firstInLane(lane)
	switch {
	case w.isBusy(lane) || first != 0 && first < seq:
		if w.lanes().Get(pairKey(lane, seq)) != nil {
			return nil
		}
		w.dirty = true
		return w.lanes().Put(pairKey(lane, seq), []byte{})
	case r.due == 0:
		w.makeReady(&item{seq: seq, lane: lane, m: r.m})
	}
	return nil
}

func (w *work) makeReady(it *item) {
	w.placed = append(w.placed, it)
	if it.due == 0 {
		w.fresh++
	} else {
		w.late++
	}
	if it.lane != 0 {
		if w.taken == nil {
			w.taken = map[uint64]*item{}
		}
		w.taken[it.lane] = it
	}
}

// firstInLane is the oldest message of the lane that waits on disk; 0 if none does.
func (w *work) firstInLane(lane uint64) uint64 {
	k, _ := w.lanes().Cursor().Seek(pairKey(lane, 0))
	if len(k) == 16 {
		if l, seq := splitPair(k); l == lane {
			return seq
		}
	}
	return 0
}

// leaveLane takes a message out of its lane; the next one is due now.
func (w *work) leaveLane(lane, seq uint64) error {
	if lane == 0 {
		return nil
	}
	if err := w.lanes().Delete(pairKey(lane, seq)); err != nil {
		return err
	}
	next := w.firstInLane(lane)
	if next == 0 {
		return nil
	}
	_, err := w.putDue(nanos(w.now), next, lane)
	return err
}

// putDue adds an entry to due, behind those that were loaded already. It returns the entry's time.
func (w *work) putDue(t, seq, lane uint64) (uint64, error) {
	if t <= w.mark.time {
		t = w.mark.time + 1
	}
	w.dirty = true
	if w.nextDue == 0 || t < w.nextDue {
		w.nextDue = t
	}
	return t, w.due().Put(pairKey(t, seq), seqKey(lane))
}

// maxDelay is how far from the opening of the file a retry can be. What is later was written under a clock that was wrong
// (or asked for such a delay: then it is tried once too early).
const maxDelay = 24 * time.Hour

// bringForward makes due what a wrong clock put off for long, and finds the first entry.
func (w *work) bringForward() error {
	late := w.dueFrom(nanos(w.now.Add(maxDelay)))
	for _, e := range late {
		if err := w.due().Delete(pairKey(e.time, e.seq)); err != nil {
			return err
		}
		if _, err := w.putDue(nanos(w.now), e.seq, e.lane); err != nil {
			return err
		}
	}
	if k, _ := w.due().Cursor().First(); len(k) == 16 {
		w.nextDue, _ = splitPair(k)
	}
	return nil
}

func (w *work) dueFrom(t uint64) (entries []dueEntry) {
	c := w.due().Cursor()
	for k, v := c.Seek(pairKey(t, 0)); k != nil; k, v = c.Next() {
		if t, seq := splitPair(k); len(v) == 8 {
			entries = append(entries, dueEntry{t, seq, binary.BigEndian.Uint64(v)})
		}
	}
	return entries
}

type dueEntry struct{ time, seq, lane uint64 }

// loadDue makes the messages ready whose time has come.
func (w *work) loadDue() error {
	now := nanos(w.now)
	if w.nextDue == 0 || w.nextDue > now {
		return nil
	}
	var entries []dueEntry
	c := w.due().Cursor()
	k, v := c.Seek(pairKey(w.mark.time, w.mark.seq+1))
	room := w.room(w.late)
	for w.nextDue = 0; k != nil; k, v = c.Next() {
		t, seq := splitPair(k)
		if t > now || len(entries) >= room {
			w.nextDue = t
			break
		}
		w.mark = duePoint{t, seq}
		if len(v) == 8 {
			entries = append(entries, dueEntry{t, seq, binary.BigEndian.Uint64(v)})
		}
	}
	for _, e := range entries {
		if err := w.loadEntry(e); err != nil {
			return err
		}
	}
	return nil
}

// loadEntry makes a message ready. An entry without its message, or of one that is loaded already, is removed.
func (w *work) loadEntry(e dueEntry) error {
	v := w.pending.Get(seqKey(e.seq))
	r, err := decodeRecord(e.seq, v)
	if v != nil && err == nil && !w.loaded(e.seq) && (e.lane == 0 || !w.isBusy(e.lane)) {
		w.makeReady(&item{seq: e.seq, lane: e.lane, due: e.time, m: r.m})
		return nil
	}
	w.dirty = true
	if err := w.due().Delete(pairKey(e.time, e.seq)); err != nil {
		return err
	}
	switch {
	case v == nil:
		return w.leaveLane(e.lane, e.seq)
	case err != nil:
		return errors.Join(w.quarantine(e.seq), w.leaveLane(e.lane, e.seq))
	default:
		return nil
	}
}

// quarantine makes a dead letter of a record that cannot be read: it must not be sent.
func (w *work) quarantine(seq uint64) error {
	w.q.logger.Error("fprom: a stored event is damaged and was put to the dead letters", slog.String("path", w.q.path), slog.Uint64("id", seq))
	w.dirty = true
	raw := bytes.Clone(w.pending.Get(seqKey(seq)))
	if err := w.bury(seq, deadInfo{Reason: errDamagedRecord.Error(), At: w.now.UTC(), Damaged: true}, raw); err != nil {
		return err
	}
	w.removed = true
	decrease(&w.st.pending)
	return w.pending.Delete(seqKey(seq))
}

// base is where delivery begins to look after a restart: see the file format.
func (w *work) base() uint64 {
	base := w.cursor
	for seq, it := range w.q.c.items {
		if it.due == 0 && !w.freed[it] {
			base = min(base, seq)
		}
	}
	for _, it := range w.placed {
		if it.due == 0 {
			base = min(base, it.seq)
		}
	}
	return base
}
