package boltqueue

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
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

// The states of a key in ids.
const (
	idDone   = 'd'
	idRepeat = 'r' // done, and may be put again: see fprom.Message.Repeats
	idDead   = 'x'
)

// record is a message in the file, and what is to tell of it.
type record struct {
	Entry  wireEntry       `json:"entry"`         // without state and cursor
	Key    string          `json:"key,omitempty"` // of the message, if it is not Entry.Key
	Digest uint64          `json:"digest"`
	Body   json.RawMessage `json:"body,omitempty"`
	Aside  bool            `json:"aside,omitzero"`
	Forget bool            `json:"forget,omitzero"` // the customer, with the outcome
	slot   uint64          // in the head
}

func newRecord(m fprom.Message) *record {
	m.Attempt, m.RecordedAt = 0, m.RecordedAt.UTC()
	r := &record{Entry: wireEntry(fprom.NewEntry(m)), Digest: m.Digest, Body: m.Body}
	if r.Entry.Key != m.Key {
		r.Key = m.Key
	}
	return r
}

func (r *record) message() fprom.Message {
	m := fprom.Message{
		Key: r.Entry.Key, Kind: r.Entry.Kind, Body: r.Body, Customer: r.Entry.Customer, RecordedAt: r.Entry.RecordedAt,
		Attempt: r.Entry.Attempts, Digest: r.Digest, Bulk: r.Entry.Bulk,
	}
	if r.Key != "" {
		m.Key = r.Key
	}
	return m
}

// erase removes what tells who the customer is; the sum stays.
func (r *record) erase() { r.Entry.Customer, r.Key, r.Body = "", "", nil }

// answer notes what deliver said.
func (r *record) answer(res fprom.Result, err error, at time.Time) {
	e := fprom.Entry(r.Entry)
	e.Settle(res, err, at)
	r.Entry = wireEntry(e)
}

// head is the beginning of a record: crc32c (4) of seq and the rest, flags (1), slot (8), lane (8), due (8). Nothing else is
// read of what waits when the file is opened. The JSON of the record follows.
type head struct {
	flags byte
	slot  uint64 // of its key: see Queue.keys
	lane  uint64
	due   int64 // Unix nanoseconds; 0: never tried
}

const (
	headSize  = 4 + 1 + 8 + 8 + 8
	flagBulk  = 1
	flagAside = 2
)

var (
	errDamagedRecord = errors.New("the stored record is damaged; what is left of it can only be dropped")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// encode returns the record without its slot and checksum: see seal.
func (r *record) encode() ([]byte, error) {
	r.Entry.State, r.Entry.Cursor = "", ""
	j, err := json.Marshal(r)
	b := append(make([]byte, headSize, headSize+len(j)), j...)
	if r.Entry.Bulk {
		b[4] |= flagBulk
	}
	if r.Aside {
		b[4] |= flagAside
	}
	binary.BigEndian.PutUint64(b[13:], backlog.LaneOf(r.Entry.Customer))
	binary.BigEndian.PutUint64(b[21:], uint64(nanos(r.Entry.NextAttempt)))
	return b, err
}

// seal completes a record with what is known when it is stored.
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
	return head{b[4], slotOf(b), binary.BigEndian.Uint64(b[13:]), int64(binary.BigEndian.Uint64(b[21:]))}, nil
}

func slotOf(b []byte) uint64 { return binary.BigEndian.Uint64(b[5:]) }

// decode copies everything out of b, which may be a page of the file.
func decode(seq uint64, b []byte) (*record, error) {
	h, err := decodeHead(seq, b)
	if err != nil {
		return nil, err
	}
	r := &record{slot: h.slot}
	if json.Unmarshal(b[headSize:], r) != nil {
		return nil, errDamagedRecord
	}
	return r, nil
}

func (h head) item(seq uint64) *item {
	it := &item{Seq: seq, Lane: h.lane, Bulk: h.flags&flagBulk != 0}
	if h.flags&flagAside != 0 {
		it.Lane = 0
	}
	return it
}

// hashKey is the hash of a SafeKey.
func hashKey(safeKey string) uint64 {
	sum := sha256.Sum256([]byte(safeKey))
	return binary.BigEndian.Uint64(sum[:])
}

// nanos is Unix nanoseconds; 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq) }

func timeKey(at time.Time, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(max(nanos(at), 0))), seq)
}

func conflictKey(safeKey string, digest uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(safeKey), 0), digest)
}
