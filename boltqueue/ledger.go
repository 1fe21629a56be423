package boltqueue

import (
	"bytes"
	"encoding/binary"
	"time"
)

const (
	pruneStep = 256 // log entries in one transaction
	pruneWait = 20 * time.Millisecond
)

// appendLog adds a key, or a conflict, to the log of what is to be forgotten.
func (w *work) appendLog(what []byte) error {
	w.log.FillPercent = fillAppend
	at := nanos(w.now)
	if w.prune == 0 {
		w.prune = w.now.Add(w.q.retention).UnixNano()
	}
	w.st.logSeq++
	return w.log.Put(seqKey(w.st.logSeq), append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(what)), at), what...))
}

// forget removes what is older than the retention, in small steps.
func (w *work) forget() error {
	if w.prune == 0 || w.prune > w.now.UnixNano() {
		return nil
	}
	var old [][2][]byte
	limit := w.now.Add(-w.q.retention)
	w.prune = 0
	c := w.log.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		at := time.Time{} // a damaged entry goes
		if len(v) >= 8 {
			at = time.Unix(0, int64(binary.BigEndian.Uint64(v)))
		}
		if at.After(limit) {
			w.prune = at.Add(w.q.retention).UnixNano()
			break
		}
		if len(old) == pruneStep {
			w.prune = w.now.Add(pruneWait).UnixNano()
			break
		}
		old = append(old, [2][]byte{bytes.Clone(k), bytes.Clone(v)})
	}
	for _, e := range old {
		if err := w.forgetOne(e[0], e[1][min(8, len(e[1])):]); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) forgetOne(k, what []byte) error {
	w.dirty = true
	if err := w.log.Delete(k); err != nil {
		return err
	}
	switch len(what) {
	case 16:
		decrease(&w.st.ledger)
		return w.index.Delete(what)
	case 24:
		return w.conflicts.Delete(what)
	default:
		return nil
	}
}

// findPrune sets when there will be something to forget.
func (w *work) findPrune() {
	if _, v := w.log.Cursor().First(); len(v) >= 8 {
		w.prune = time.Unix(0, int64(binary.BigEndian.Uint64(v))).Add(w.q.retention).UnixNano()
	} else if v != nil {
		w.prune = w.now.UnixNano()
	}
}
