package boltqueue

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
)

// The file, format 3. Integers are big-endian.
//
//	bucket     key                      value
//	meta       "format"                 "fprom-boltqueue", version (two bytes)
//	open       seq (8)                  the record of an event that waits, or is a dead letter. One that is damaged is a dead letter
//	done       seq (8)                  the record of a done event, without customer and body
//	ids        SafeKey of the event     seq (8) of the done event; no entry for cancellations
//	times      settled at (8), seq (8)  the outcome, or "dead": for History and pruning
//	conflicts  SafeKey, 0, digest (8)   empty: an id that came again with this other digest, and was refused
//
// A Put only appends to open; the keys of open events are in memory. A success moves the record from open to done and writes
// ids and times. The seq of an event is its number in the order of the puts. A seq is never used again.
//
// The fields of a record, in this order:
//
//	crc32c (4)      of the seq and all fields below
//	flags (1)
//	digest (8)
//	recorded at (8) Unix nanoseconds; 0: unknown
//	at (8)          Unix nanoseconds of the next attempt or of the outcome; 0: never tried
//	attempts (4)
//	key, kind, customer, body, each after its length (uvarint)
//	answer          the last answer as JSON of an fprom.Entry; empty before the first answer
const (
	formatName = "fprom-boltqueue"
	format     = formatName + "\x00\x03"
	headSize   = 4 + 1 + 8 + 8 + 8 + 4
)

var (
	bucketMeta      = []byte("meta")
	bucketOpen      = []byte("open")
	bucketDone      = []byte("done")
	bucketIDs       = []byte("ids")
	bucketTimes     = []byte("times")
	bucketConflicts = []byte("conflicts")

	allBuckets = [][]byte{bucketMeta, bucketOpen, bucketDone, bucketIDs, bucketTimes, bucketConflicts}

	keyFormat = []byte("format")
)

const (
	flagBulk   = 1 << iota // Message.Bulk
	flagAside              // later events of its customer may overtake it
	flagForget             // erase the customer at the outcome, also of a dead letter
	flagDead               // a dead letter
)

// record is an event in the file. Attempt counts the attempts so far. After erase, Key is the SafeKey.
type record struct {
	fprom.Message
	state  fprom.State
	flags  byte
	at     time.Time // of the next attempt or of the outcome; zero: never tried
	answer []byte    // the last one, as JSON

	damaged bool // it could not be read: Key is invented, the rest is empty
}

// entry shows the customer in clear.
func (r *record) entry(seq uint64) fprom.Entry {
	e := fprom.NewEntry(r.Message)
	_ = json.Unmarshal(r.answer, &e) // the checksum protects it; there may be none
	e.State, e.Cursor, e.Damaged = r.state, formatSeq(seq), r.damaged
	switch {
	case r.damaged:
		e.Reason = "the stored record is damaged; it can only be dropped, if need be after a restart of the service"
	case r.state != fprom.StateWaiting:
		e.SettledAt = r.at
	case r.at.After(time.Now()): // otherwise the attempt is under way or due
		e.NextAttempt = r.at
	}
	return e
}

func (r *record) setAnswer(res fprom.Result, failure error) {
	var e fprom.Entry
	e.Settle(res, failure, time.Time{})
	e.State = "" // it is in the record
	e.Amount, e.Currency = r.Money()
	if r.state == fprom.StateWaiting {
		e.Outcome = fprom.Undelivered
	}
	r.answer, _ = json.Marshal(e) // its fields are numbers and strings
}

// erase removes the customer. The amount stays.
func (r *record) erase() { r.Key, r.Customer, r.Body = fprom.SafeKey(r.Key), "", nil }

func (r *record) item(seq uint64) *item {
	it := &item{Seq: seq, Bulk: r.Bulk}
	if r.flags&flagAside == 0 {
		it.Lane = backlog.LaneOf(r.Customer)
	}
	return it
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r *record) encode(seq uint64) []byte {
	b := make([]byte, headSize, headSize+32+len(r.Key)+len(r.Kind)+len(r.Customer)+len(r.Body)+len(r.answer))
	b[4] = r.flags
	if r.Bulk {
		b[4] |= flagBulk
	}
	if r.state == fprom.StateDead {
		b[4] |= flagDead
	}
	binary.BigEndian.PutUint64(b[5:], r.Digest)
	binary.BigEndian.PutUint64(b[13:], nanos(r.RecordedAt))
	binary.BigEndian.PutUint64(b[21:], nanos(r.at))
	binary.BigEndian.PutUint32(b[29:], uint32(r.Attempt))
	b = appendText(b, r.Key)
	b = appendText(b, r.Kind)
	b = appendText(b, r.Customer)
	b = append(appendText(b, r.Body), r.answer...)
	binary.BigEndian.PutUint32(b, checksum(seq, b))
	return b
}

func appendText[T ~string | ~[]byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func checksum(seq uint64, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(seqKey(seq), castagnoli), castagnoli, b[4:])
}

func intact(seq uint64, b []byte) bool {
	return len(b) >= headSize && binary.BigEndian.Uint32(b) == checksum(seq, b)
}

// waits reports, without the work of decode, whether b is the record of a waiting event, and not of a dead letter.
func waits(seq uint64, b []byte) bool { return intact(seq, b) && b[4]&flagDead == 0 }

// recordedAt is the RecordedAt of a record, without the work of decode; zero if b is too short.
func recordedAt(b []byte) time.Time { return timeOf(b[min(13, len(b)):]) }

// decode reads a record of open or done. It keeps no part of b, which may be a page of the file, or nil if there is none.
func decode(seq uint64, b []byte, done bool) *record {
	r := &record{Message: fprom.Message{Key: "damaged:" + formatSeq(seq)}, state: fprom.StateDead, damaged: !intact(seq, b)}
	switch {
	case done:
		r.state = fprom.StateDone
	case !r.damaged && b[4]&flagDead == 0:
		r.state = fprom.StateWaiting
	}
	if r.damaged {
		return r
	}
	r.flags, r.at = b[4], timeOf(b[21:])
	r.Digest, r.RecordedAt, r.Attempt = binary.BigEndian.Uint64(b[5:]), timeOf(b[13:]), int(binary.BigEndian.Uint32(b[29:]))
	r.Bulk = r.flags&flagBulk != 0
	b = b[headSize:]
	for _, s := range []*string{&r.Key, &r.Kind, &r.Customer} {
		var text []byte
		text, b = cutText(b)
		*s = string(text)
	}
	body, answer := cutText(b)
	r.Body, r.answer = append(r.Body, body...), append(r.answer, answer...)
	return r
}

func cutText(b []byte) (text, rest []byte) {
	size, n := binary.Uvarint(b) // the checksum protects it
	return b[n : n+int(size)], b[n+int(size):]
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq) }

// seqOf returns the number that b begins with; 0, which no event has, if b is too short.
func seqOf(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func timeKey(at time.Time, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), nanos(at)), seq)
}

func seqOfTimeKey(k []byte) uint64 { return seqOf(k[min(8, len(k)):]) }

// nanos returns Unix nanoseconds, and 0 for the zero time and times before 1970.
func nanos(t time.Time) uint64 {
	if t.Unix() < 0 {
		return 0
	}
	return uint64(t.UnixNano())
}

func timeOf(b []byte) time.Time {
	n := seqOf(b)
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}
