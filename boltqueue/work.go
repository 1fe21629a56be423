package boltqueue

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// counters is the record meta/counters.
type counters struct {
	Ledger      int   `json:"ledger"`       // ids of what is done
	Dead        int   `json:"dead"`         // dead letters
	Conflicts   int   `json:"conflicts"`    // pairs in conflicts
	LastSuccess int64 `json:"last_success"` // Unix nanoseconds; 0: none
}

func (c counters) lastSuccess() time.Time { return timeOf(c.LastSuccess) }

// work is one transaction. What it changes in memory is taken over when it is committed.
type work struct {
	q                                           *Queue
	waiting, dead, done, ids, times, conflicted *bbolt.Bucket
	meta                                        *bbolt.Bucket

	dirty    bool
	counters counters
	oldest   time.Time
	lastSeq  uint64
	added    []*item
	taken    []taken  // slots in Queue.keys, to be given back if the commit fails
	freed    []uint64 // slots to be freed
	answers  []error
}

// taken is a slot in Queue.keys and what was in it.
type taken struct {
	slot, seq uint64
	had       bool
}

// undo gives back what was taken in memory.
func (w *work) undo() {
	for _, t := range slices.Backward(w.taken) {
		if t.had {
			w.q.keys[t.slot] = t.seq
		} else {
			delete(w.q.keys, t.slot)
		}
	}
}

func (w *work) begin(tx *bbolt.Tx) {
	w.meta, w.waiting, w.dead, w.done = tx.Bucket(bucketMeta), tx.Bucket(bucketWaiting), tx.Bucket(bucketDead), tx.Bucket(bucketDone)
	w.ids, w.times, w.conflicted = tx.Bucket(bucketIDs), tx.Bucket(bucketTimes), tx.Bucket(bucketConflicts)
	for _, b := range []*bbolt.Bucket{w.waiting, w.dead, w.done, w.times} {
		b.FillPercent = 1 // they grow at their end
	}
	w.q.mu.Lock()
	w.counters = w.q.counters
	w.q.mu.Unlock()
}

// apply does what the group asks for. An error is that of all.
func (w *work) apply(group []*request) error {
	before := w.counters
	for _, r := range group {
		if len(r.puts) == 0 {
			if err := r.apply(w); err != nil {
				return err
			}
			w.answers = append(w.answers, nil)
			continue
		}
		conflict, err := w.puts(r.puts)
		if err != nil {
			return err
		}
		w.answers = append(w.answers, conflict)
	}
	w.lastSeq = w.waiting.Sequence()
	if k, v := w.waiting.Cursor().First(); k != nil {
		if r, err := decode(binary.BigEndian.Uint64(k), v); err == nil {
			w.oldest = r.RecordedAt
		}
	}
	if w.counters == before {
		return nil
	}
	w.dirty = true
	b, err := json.Marshal(w.counters)
	if err != nil {
		return err
	}
	return w.meta.Put(keyCounters, b)
}

// puts stores messages. conflict is for the caller, err that of the transaction.
func (w *work) puts(ps []*put) (conflict, err error) {
	var keys []string
	for _, p := range ps {
		ok, err := w.put(p)
		if err != nil {
			return nil, err
		}
		if !ok {
			keys = append(keys, p.m.Key)
		}
	}
	if len(keys) > 0 {
		return &fprom.ConflictError{Keys: keys}, nil
	}
	return nil, nil
}

// put reports whether the message is stored, or known with the same digest.
func (w *work) put(p *put) (ok bool, err error) {
	slot, stands := w.find(p.safe, p.hash)
	if stands == nil {
		if id := w.ids.Get([]byte(p.safe)); len(id) == 9 {
			switch seq := binary.BigEndian.Uint64(id[1:]); id[0] {
			case idDead:
				if err := w.unbury(seq, p.safe); err != nil {
					return false, err
				}
			case idDone:
				if stands, err = decode(seq, w.done.Get(id[1:])); err != nil {
					return true, nil //nolint:nilerr // the id is remembered; with what amount nobody knows any more
				}
			}
		}
	}
	if stands != nil {
		if stands.Digest == p.m.Digest {
			return true, nil
		}
		k := conflictKey(p.safe, p.m.Digest)
		if w.conflicted.Get(k) == nil {
			w.counters.Conflicts++
			err = w.conflicted.Put(k, []byte{})
		}
		return false, err
	}
	return true, w.store(p.record, slot)
}

// find looks for a key among what waits. If it is not there, slot is where it would be.
func (w *work) find(safeKey string, hash uint64) (slot uint64, r *record) {
	for slot = hash; ; slot++ {
		seq, ok := w.q.keys[slot]
		if !ok || slices.Contains(w.freed, slot) {
			return slot, nil
		}
		if r, err := decode(seq, w.waiting.Get(seqKey(seq))); err == nil && fprom.SafeKey(r.Key) == safeKey {
			return slot, r
		}
	}
}

// store adds a record at the end of what waits.
func (w *work) store(b []byte, slot uint64) error {
	seq, err := w.waiting.NextSequence()
	if err != nil {
		return err
	}
	w.dirty = true
	old, had := w.q.keys[slot]
	w.taken = append(w.taken, taken{slot, old, had})
	w.q.keys[slot] = seq
	w.freed = slices.DeleteFunc(w.freed, func(s uint64) bool { return s == slot })
	b = seal(b, seq, slot)
	h, err := decodeHead(seq, b)
	if err != nil {
		return err
	}
	w.added = append(w.added, h.item(seq))
	return w.waiting.Put(seqKey(seq), b)
}

// leave removes a record from what waits.
func (w *work) leave(seq uint64) error {
	w.dirty = true
	b := w.waiting.Get(seqKey(seq))
	if b == nil {
		return fmt.Errorf("%w: event %d is gone", ErrDamaged, seq)
	}
	if h, err := decodeHead(seq, b); err == nil {
		w.freed = append(w.freed, h.slot)
	}
	return w.waiting.Delete(seqKey(seq))
}

// finish writes the outcome of a message: it is done, or dead.
func (w *work) finish(seq uint64, r *record, res fprom.Result, err error) error {
	if current, err := decode(seq, w.waiting.Get(seqKey(seq))); err == nil {
		r.forgotten = current.forgotten // meanwhile
	}
	if err := w.leave(seq); err != nil {
		return err
	}
	at := w.q.now()
	r.answer(res, err, at)
	r.due, r.aside = time.Time{}, false
	safe := fprom.SafeKey(r.Key)
	state, bucket := byte(idDone), w.done
	switch {
	case err != nil:
		state, bucket = idDead, w.dead
		w.counters.Dead++
		if r.forgotten {
			r.erase()
		}
	default:
		if r.Repeats() {
			state = idRepeat
		} else {
			w.counters.Ledger++
		}
		w.counters.LastSuccess = at.UnixNano()
		r.erase()
	}
	if err := bucket.Put(seqKey(seq), seal(r.encode(), seq, 0)); err != nil {
		return err
	}
	if err := w.ids.Put([]byte(safe), append([]byte{state}, seqKey(seq)...)); err != nil {
		return err
	}
	return w.times.Put(timeKey(at, seq), []byte{outcomeCode(state, r.outcome)})
}

// postpone notes a failed attempt.
func (w *work) postpone(seq uint64, due time.Time, aside bool, attempts int, res fprom.Result, err error) error {
	b := w.waiting.Get(seqKey(seq))
	r, decodeErr := decode(seq, b)
	if decodeErr != nil {
		return fmt.Errorf("%w: event %d: %w", ErrDamaged, seq, decodeErr)
	}
	h, _ := decodeHead(seq, b)
	r.answer(res, err, time.Time{})
	r.due, r.aside, r.Attempt = due, aside, attempts
	w.dirty = true
	return w.waiting.Put(seqKey(seq), seal(r.encode(), seq, h.slot))
}

// quarantine makes a dead letter of a record that cannot be read.
func (w *work) quarantine(seq uint64) error {
	w.dirty = true
	b := bytes.Clone(w.waiting.Get(seqKey(seq)))
	for slot, s := range w.q.keys {
		if s == seq {
			w.freed = append(w.freed, slot)
		}
	}
	w.counters.Dead++
	if err := w.waiting.Delete(seqKey(seq)); err != nil {
		return err
	}
	return w.dead.Put(seqKey(seq), b)
}

// unbury removes a dead letter.
func (w *work) unbury(seq uint64, safeKey string) error {
	w.dirty = true
	if w.dead.Get(seqKey(seq)) != nil {
		w.counters.Dead--
	}
	if safeKey != "" {
		if err := w.ids.Delete([]byte(safeKey)); err != nil {
			return err
		}
	}
	return w.dead.Delete(seqKey(seq))
}

// redrive puts a dead letter at the end of what waits.
func (w *work) redrive(seq uint64) (bool, error) {
	r, err := decode(seq, w.dead.Get(seqKey(seq)))
	if err != nil || len(r.Body) == 0 {
		return false, nil //nolint:nilerr // it stays
	}
	safe := fprom.SafeKey(r.Key)
	slot, stands := w.find(safe, hashKey(safe))
	if stands != nil {
		return false, nil
	}
	if err := w.unbury(seq, safe); err != nil {
		return false, err
	}
	fresh := record{Message: r.Message}
	fresh.Attempt = 0
	return true, w.store(fresh.encode(), slot)
}

// drop removes a dead letter for good.
func (w *work) drop(seq uint64) (bool, error) {
	b := w.dead.Get(seqKey(seq))
	if b == nil {
		return false, nil
	}
	safe := ""
	if r, err := decode(seq, b); err == nil {
		safe = fprom.SafeKey(r.Key)
	}
	return true, w.unbury(seq, safe)
}

// forget erases the customer of a dead letter now, and lets that of a waiting message be erased with its outcome.
func (w *work) forget(seq uint64) (bool, error) {
	if r, err := decode(seq, w.dead.Get(seqKey(seq))); err == nil {
		w.dirty = true
		r.erase()
		return true, w.dead.Put(seqKey(seq), seal(r.encode(), seq, 0))
	}
	b := w.waiting.Get(seqKey(seq))
	r, err := decode(seq, b)
	if err != nil || r.forgotten {
		return false, nil //nolint:nilerr // it is gone meanwhile, or will be a damaged dead letter
	}
	h, _ := decodeHead(seq, b)
	r.forgotten, w.dirty = true, true
	return false, w.waiting.Put(seqKey(seq), seal(r.encode(), seq, h.slot))
}

// Codes in times.
var outcomes = map[fprom.Outcome]byte{fprom.Tracked: 't', fprom.NotReferral: 'n', fprom.Duplicate: 'u'}

func outcomeCode(state byte, o fprom.Outcome) byte {
	if state == idDead {
		return idDead
	}
	return outcomes[o]
}

// How much is forgotten at once, and how often.
const (
	pruneEvery = time.Minute
	pruneMost  = 1000
)

// prune forgets ids whose outcome is too old.
func (w *work) prune() error {
	c := w.times.Cursor()
	end := timeKey(w.q.now().Add(-w.q.retention), 0)
	k, _ := c.First()
	for n := 0; n < pruneMost && k != nil && bytes.Compare(k, end) < 0; n++ {
		w.dirty = true
		seq := bytes.Clone(k[8:])
		if err := w.forgetID(seq); err != nil {
			return err
		}
		if err := c.Delete(); err != nil {
			return err
		}
		k, _ = c.First()
	}
	return nil
}

// forgetID removes what is done from the ledger. Dead letters stay.
func (w *work) forgetID(seq []byte) error {
	r, err := decode(binary.BigEndian.Uint64(seq), w.done.Get(seq))
	if err != nil {
		return w.done.Delete(seq)
	}
	key := []byte(r.Key)
	if id := w.ids.Get(key); len(id) == 9 && bytes.Equal(id[1:], seq) {
		if id[0] == idDone {
			w.counters.Ledger--
		}
		if err := w.ids.Delete(key); err != nil {
			return err
		}
	}
	prefix, c := append(key, 0), w.conflicted.Cursor()
	for k, _ := c.Seek(prefix); len(k) == len(prefix)+8 && bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		w.counters.Conflicts--
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return w.done.Delete(seq)
}
