package boltqueue

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/fprom-go/fprom"
)

// The file, format 1. Integers are big-endian. All keys but those of meta have a fixed length.
//
//	bucket     key                  value
//	meta       "format"             "fprom-boltqueue", version (2)
//	           "state"              the counters: see state
//	pending    seq (8)              the message: see encodeRecord. Every message without an outcome is here
//	due        time (8), seq (8)    lane (8). Messages to deliver at a time: retries, and heads of lanes that were parked
//	lanes      lane (8), seq (8)    nothing. Messages that wait for another of their customer, and those in due
//	run…       key hash (16)        seq (8), digest (8). The index: every key stored or remembered with seq below state.flushed
//	runs       run (4)              about the run with that number, and a filter: see run
//	recent     seq (8)              key hash (16), digest (8). Done, but not yet in a run
//	marks      time (8)             seq (8), count (8). What was done by then: see ledger.go
//	dead       seq (8)              why, and the message: see encodeDead. If dropped: its key hash (16) if known, until it is forgotten
//	conflicts  key hash (16), digest (8)   seq (8) of the message that stands. Conflicts that were reported
//
// In the usual case a Put writes to the end of pending, and an outcome to its beginning and to the end of recent; each
// message's key goes into a run later, with many others. lanes and due are written only for retries and for customers with
// several events waiting.
// A message's seq never changes; its lane is a hash of its customer. Leases are in memory only.
//
// After a restart, delivery finds its work by state.base: every message below it is in due, or in lanes behind one that
// is in due or not below base. So nothing is scanned that was looked at before.
const (
	formatName    = "fprom-boltqueue"
	formatVersion = 1
)

var (
	bucketMeta      = []byte("meta")
	bucketPending   = []byte("pending")
	bucketDue       = []byte("due")
	bucketLanes     = []byte("lanes")
	bucketRuns      = []byte("runs")
	bucketRecent    = []byte("recent")
	bucketMarks     = []byte("marks")
	bucketDead      = []byte("dead")
	bucketConflicts = []byte("conflicts")

	allBuckets = [][]byte{
		bucketMeta, bucketPending, bucketDue, bucketLanes, bucketRuns, bucketRecent, bucketMarks, bucketDead, bucketConflicts,
	}

	keyFormat = []byte("format")
	keyState  = []byte("state")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// state is the record meta/state: crc32c (4), then the fields, 8 bytes each.
type state struct {
	seq       uint64 // of the next message
	base      uint64 // see above
	pending   uint64 // messages in pending
	dead      uint64 // dead letters
	done      uint64 // keys that were ever remembered with their outcome
	forgotten uint64 // and how many of them are too old
	forget    uint64 // messages with a lower seq are too old
	flushed   uint64 // messages with a lower seq have their keys in a run
	runSeq    uint64 // of the next run
}

const stateSize = 4 + 9*8

func (s *state) fields() [9]*uint64 {
	return [...]*uint64{&s.seq, &s.base, &s.pending, &s.dead, &s.done, &s.forgotten, &s.forget, &s.flushed, &s.runSeq}
}

func (s *state) encode() []byte {
	b := make([]byte, 4, stateSize)
	for _, p := range s.fields() {
		b = binary.BigEndian.AppendUint64(b, *p)
	}
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

func decodeState(b []byte) (s state, ok bool) {
	if len(b) != stateSize || binary.BigEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return s, false
	}
	for i, p := range s.fields() {
		*p = binary.BigEndian.Uint64(b[4+8*i:])
	}
	return s, true
}

func (s *state) stats() fprom.QueueStats {
	return fprom.QueueStats{Pending: int(s.pending), Dead: int(s.dead), Ledger: int(s.done - min(s.forgotten, s.done))}
}

func encodeFormat() []byte {
	return binary.BigEndian.AppendUint16([]byte(formatName), formatVersion)
}

// decodeFormat returns the version, 0 if b is not a format record.
func decodeFormat(b []byte) uint16 {
	if len(b) != len(formatName)+2 || string(b[:len(formatName)]) != formatName {
		return 0
	}
	return binary.BigEndian.Uint16(b[len(formatName):])
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), seq) }

// pairKey is the key of due (time, seq) and lanes (lane, seq).
func pairKey(a, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), a), seq)
}

func splitPair(k []byte) (a, seq uint64) {
	return binary.BigEndian.Uint64(k), binary.BigEndian.Uint64(k[8:])
}
