package boltqueue

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
)

// The file, format 2. Integers are big-endian.
//
//	bucket     key                      value
//	meta       "format"                 "fprom-boltqueue", version (2)
//	           "counters"               JSON: see counters
//	waiting    seq (8)                  the record of a message without an outcome
//	dead       seq (8)                  the record of a dead letter
//	done       seq (8)                  the record of a message that is done: no customer, no body
//	ids        SafeKey of the message   state (1), seq (8). Of what is done or dead
//	times      settled at (8), seq (8)  what it was (1), for History and for what is too old
//	conflicts  SafeKey, 0, digest (8)   nothing. Pairs that were refused
//
// A Put writes to the end of waiting and nowhere else: what waits is known from memory. An outcome removes the record there
// and writes the others. Seqs are the order in which messages were put, and are never used again.
const (
	formatName    = "fprom-boltqueue"
	formatVersion = 2
)

var (
	bucketMeta      = []byte("meta")
	bucketWaiting   = []byte("waiting")
	bucketDead      = []byte("dead")
	bucketDone      = []byte("done")
	bucketIDs       = []byte("ids")
	bucketTimes     = []byte("times")
	bucketConflicts = []byte("conflicts")

	allBuckets = [][]byte{bucketMeta, bucketWaiting, bucketDead, bucketDone, bucketIDs, bucketTimes, bucketConflicts}

	keyFormat   = []byte("format")
	keyCounters = []byte("counters")
)

// The states of a key in ids and of an outcome in times.
const (
	idDone   = 'd'
	idRepeat = 'r' // done, and may be put again: see fprom.Message.Repeats
	idDead   = 'x'
)

var errDamagedRecord = errors.New("the stored record is damaged; what is left of it can only be dropped")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is a message in the file, with the last answer to it.
type record struct {
	fprom.Message // Attempt: attempts made and counted
	due           time.Time
	aside         bool
	forgotten     bool // erase the customer with the outcome

	answered bool // the rest is set
	reason   string
	status   int
	outcome  fprom.Outcome
	settled  time.Time
	amount   int64 // of a message whose body is gone, with currency
	currency string
	id       int64
	n        int
	ids      []int64
}

// Flags of a record, in this order.
const (
	flagBulk = 1 << iota
	flagAside
	flagForgotten
	flagAnswered
)

// The fixed head of a record: crc32c (4) of seq and the rest, flags (1), slot (8), lane (8), due (8). That is all that is
// read of what waits when the file is opened.
const headSize = 4 + 1 + 8 + 8 + 8

// head is the fixed head of a record.
type head struct {
	flags byte
	slot  uint64 // see Queue.keys
	lane  uint64
	due   int64 // Unix nanoseconds; 0: never tried
}

// encode returns the record without its slot and checksum: see seal.
func (r *record) encode() []byte {
	w := writer(make([]byte, headSize, headSize+64+len(r.Kind)+len(r.Key)+len(r.Customer)+len(r.Body)))
	for i, set := range [...]bool{r.Bulk, r.aside, r.forgotten, r.answered} {
		if set {
			w[4] |= 1 << i
		}
	}
	binary.BigEndian.PutUint64(w[13:], backlog.LaneOf(r.Customer))
	binary.BigEndian.PutUint64(w[21:], uint64(nanos(r.due)))
	w.time(r.RecordedAt)
	w.fixed(r.Digest)
	w.int(int64(r.Attempt))
	w.text(r.Kind)
	w.text(r.Key)
	w.text(r.Customer)
	if r.answered {
		w.text(r.reason)
		w.int(int64(r.status))
		w.text(string(r.outcome))
		w.time(r.settled)
		w.int(r.amount)
		w.text(r.currency)
		w.int(r.id)
		w.int(int64(r.n))
		w.int(int64(len(r.ids)))
		for _, id := range r.ids {
			w.int(id)
		}
	}
	return append(w, r.Body...)
}

// seal completes a record with what is known when it is written.
func seal(b []byte, seq, slot uint64) []byte {
	binary.BigEndian.PutUint64(b[5:], slot)
	binary.BigEndian.PutUint32(b, checksum(seq, b))
	return b
}

func checksum(seq uint64, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(seqKey(seq), castagnoli), castagnoli, b[4:])
}

// decodeHead checks the whole record and reads its head.
func decodeHead(seq uint64, b []byte) (head, error) {
	if len(b) < headSize || binary.BigEndian.Uint32(b) != checksum(seq, b) {
		return head{}, errDamagedRecord
	}
	return head{b[4], binary.BigEndian.Uint64(b[5:]), binary.BigEndian.Uint64(b[13:]), int64(binary.BigEndian.Uint64(b[21:]))}, nil
}

// decode copies everything out of b, which may be a page of the file.
func decode(seq uint64, b []byte) (*record, error) {
	h, err := decodeHead(seq, b)
	if err != nil {
		return nil, err
	}
	r := &record{due: timeOf(h.due), aside: h.flags&flagAside != 0, forgotten: h.flags&flagForgotten != 0, answered: h.flags&flagAnswered != 0}
	d := reader{b[headSize:], true}
	r.Bulk = h.flags&flagBulk != 0
	r.RecordedAt = d.time()
	r.Digest = d.fixed()
	r.Attempt = int(d.int())
	r.Kind, r.Key, r.Customer = d.text(), d.text(), d.text()
	if r.answered {
		r.reason, r.status, r.outcome, r.settled = d.text(), int(d.int()), fprom.Outcome(d.text()), d.time()
		r.amount, r.currency, r.id, r.n = d.int(), d.text(), d.int(), int(d.int())
		for range min(d.int(), int64(len(d.b))) {
			r.ids = append(r.ids, d.int())
		}
	}
	if !d.ok {
		return nil, errDamagedRecord
	}
	r.Body = bytes.Clone(d.b)
	return r, nil
}

// entry is the record as operators see it, with the customer in clear.
func (r *record) entry(seq uint64, state fprom.State) fprom.Entry {
	e := fprom.NewEntry(r.Message)
	e.State, e.Cursor = state, formatSeq(seq)
	if len(r.Body) == 0 {
		e.Amount, e.Currency = r.amount, r.currency
	}
	if r.answered {
		e.Reason, e.StatusCode = r.reason, r.status
	}
	if state == fprom.StateWaiting {
		e.NextAttempt = r.due
		return e
	}
	e.Outcome, e.SettledAt, e.ID, e.Commissions, e.CommissionIDs = r.outcome, r.settled, r.id, r.n, r.ids
	return e
}

// answer notes what deliver said.
func (r *record) answer(res fprom.Result, err error, at time.Time) {
	var e fprom.Entry
	e.Settle(res, err, at)
	r.answered = true
	r.reason, r.status, r.outcome, r.settled = e.Reason, e.StatusCode, e.Outcome, e.SettledAt
	r.id, r.n, r.ids = e.ID, e.Commissions, e.CommissionIDs
}

// erase removes the customer and the body; the sum stays.
func (r *record) erase() {
	if len(r.Body) > 0 {
		r.amount, r.currency = r.Money()
	}
	r.Key, r.Customer, r.Body = fprom.SafeKey(r.Key), "", nil
}

// hashKey is the hash of a SafeKey.
func hashKey(safeKey string) uint64 {
	sum := sha256.Sum256([]byte(safeKey))
	return binary.BigEndian.Uint64(sum[:])
}

// nanos and timeOf are Unix nanoseconds and back; 0 is the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq) }

func timeKey(at time.Time, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(max(nanos(at), 0))), seq)
}

func conflictKey(safeKey string, digest uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(safeKey), 0), digest)
}

// writer and reader are the fields of a record one after the other; numbers are varints, texts have their length before them.
type writer []byte

func (w *writer) int(n int64)   { *w = binary.AppendVarint(*w, n) }
func (w *writer) text(s string) { *w = append(binary.AppendUvarint(*w, uint64(len(s))), s...) }
func (w *writer) fixed(n uint64) {
	*w = binary.BigEndian.AppendUint64(*w, n)
}
func (w *writer) time(t time.Time) { w.fixed(uint64(nanos(t))) }

type reader struct {
	b  []byte
	ok bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.b, r.ok = nil, false
		return make([]byte, min(n, 8))
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) int() int64 {
	n, w := binary.Varint(r.b)
	r.take(uint64(max(w, 0)))
	r.ok = r.ok && w > 0
	return n
}

func (r *reader) text() string {
	n, w := binary.Uvarint(r.b)
	r.take(uint64(max(w, 0)))
	r.ok = r.ok && w > 0
	return string(r.take(n))
}

func (r *reader) fixed() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) time() time.Time { return timeOf(int64(r.fixed())) }
