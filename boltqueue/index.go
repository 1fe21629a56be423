package boltqueue

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// The index says which keys are stored or remembered. Written key by key, each would touch a page of its own, as hashes
// have no neighbours. So the newest keys are in memory only: pending, dead and recent hold what restores them. When there
// are so many (memKeys) of them they are written at once, sorted, as a run; runs of one size are merged to a larger one.

// entry is what a key hash leads to.
type entry struct{ seq, digest uint64 }

type hash = [16]byte

const defaultMemKeys = 16384

// lookup finds the newest message of a key.
func (w *work) lookup(h hash) (e entry, ok bool) {
	if e, ok := w.added[h]; ok {
		return e, true
	}
	if e, ok := w.q.c.mem[h]; ok {
		return e, true
	}
	for _, r := range w.runs {
		if !r.filter.mayHave(h) {
			continue
		}
		if b := w.tx.Bucket(r.name()); b != nil {
			if found, has := decodeEntry(b.Get(h[:])); has && (!ok || found.seq > e.seq) {
				e, ok = found, true
			}
		}
	}
	return e, ok
}

func (w *work) addKey(h hash, e entry) {
	if w.added == nil {
		w.added = map[hash]entry{}
	}
	w.added[h] = e
}

func decodeEntry(v []byte) (entry, bool) {
	if len(v) != 16 {
		return entry{}, false
	}
	seq, digest := splitPair(v)
	return entry{seq, digest}, true
}

// remember keeps the key of a message that is done. Cancellations are not remembered, but their entries stay: see put.
func (w *work) remember(it *item) error {
	if it.m.Kind == fprom.KindCancellation {
		return nil
	}
	w.st.done++
	if it.seq < w.st.flushed {
		return nil
	}
	h := hashKey(it.m.Key)
	return w.recent().Put(seqKey(it.seq), binary.BigEndian.AppendUint64(h[:], it.m.Digest))
}

// flush writes the keys in memory as a run.
func (w *work) flush() error {
	if len(w.q.c.mem)+len(w.added) < w.q.memKeys {
		return nil
	}
	type keyEntry struct {
		h hash
		entry
	}
	keys := make([]keyEntry, 0, len(w.q.c.mem)+len(w.added))
	for h, e := range w.q.c.mem {
		if _, newer := w.added[h]; !newer {
			keys = append(keys, keyEntry{h, e})
		}
	}
	for h, e := range w.added {
		keys = append(keys, keyEntry{h, e})
	}
	slices.SortFunc(keys, func(a, b keyEntry) int { return bytes.Compare(a.h[:], b.h[:]) })
	b, err := w.newRun(0, uint64(len(keys)))
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := b.add(k.h, k.entry); err != nil {
			return err
		}
	}
	if err := w.publish(b.run); err != nil {
		return err
	}
	w.flushed, w.st.flushed = true, w.st.seq
	if err := w.tx.DeleteBucket(bucketRecent); err != nil {
		return err
	}
	_, err = w.tx.CreateBucket(bucketRecent)
	return err
}

// restoreKeys reads the keys back that are not in a run.
func (q *Queue) restoreKeys(w *work) error {
	from := seqKey(w.st.flushed)
	mem := q.c.mem
	set := func(h hash, e entry) {
		if e.seq > mem[h].seq {
			mem[h] = e
		}
	}
	each(w.recent(), from, func(seq uint64, v []byte) {
		if len(v) == 24 {
			set(hash(v[:16]), entry{seq, binary.BigEndian.Uint64(v[16:])})
		}
	})
	add := func(seq uint64, rec []byte) {
		if r, err := decodeRecord(seq, rec); err == nil {
			set(hashKey(r.m.Key), entry{seq, r.m.Digest})
		}
	}
	each(w.dead(), from, func(seq uint64, v []byte) {
		if len(v) == len(hash{}) { // dropped
			set(hash(v), entry{seq: seq})
		} else if _, rec, err := decodeDead(seq, v); err == nil {
			add(seq, rec)
		}
	})
	each(w.pending, from, add)
	return q.loadRuns(w)
}

func each(b *bbolt.Bucket, from []byte, f func(seq uint64, v []byte)) {
	c := b.Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		f(binary.BigEndian.Uint64(k), v)
	}
}
