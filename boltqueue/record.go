package boltqueue

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"hash/fnv"
	"time"

	"github.com/fprom-go/fprom"
)

var errDamagedRecord = errors.New("the stored record is damaged (checksum)")

// hashKey is what the file knows an event by: no address of a customer stays in the ledger.
func hashKey(key string) hash {
	sum := sha256.Sum256([]byte(key))
	return hash(sum[:16])
}

// laneOf is 0 for a message that need not wait for others. Two customers with one hash share a lane, which does no harm.
func laneOf(customer string) uint64 {
	if customer == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(customer))
	return max(h.Sum64(), 1)
}

// record is a message with the time it is due at, if it waits for a retry.
type record struct {
	m   fprom.Message // Attempt: attempts made and counted
	due int64         // Unix nanoseconds; 0: not delayed
}

const (
	recordHeader = 4 + 4 + 8 + 8 + 4
	maxReason    = 1 << 10
)

// encodeRecord: crc32c (4) of seq and the rest, attempts (4), due (8), RecordedAt in seconds (8) and nanoseconds (4), then
// kind, customer and key with their lengths as uvarints before them, and the body to the end.
func encodeRecord(seq uint64, r record) []byte {
	b := make([]byte, 4, recordHeader+16+len(r.m.Kind)+len(r.m.Customer)+len(r.m.Key)+len(r.m.Body))
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(r.m.Attempt, 0), 1<<31-1)))
	b = binary.BigEndian.AppendUint64(b, uint64(r.due))
	b = binary.BigEndian.AppendUint64(b, uint64(r.m.RecordedAt.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(r.m.RecordedAt.Nanosecond()))
	for _, s := range [...]string{r.m.Kind, r.m.Customer, r.m.Key} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = append(b, r.m.Body...)
	binary.BigEndian.PutUint32(b, recordSum(seq, b))
	return b
}

func recordSum(seq uint64, b []byte) uint32 {
	var k [8]byte
	binary.BigEndian.PutUint64(k[:], seq)
	return crc32.Update(crc32.Checksum(k[:], castagnoli), castagnoli, b[4:])
}

// decodeRecord copies everything out of b, which may be a page of the file.
func decodeRecord(seq uint64, b []byte) (record, error) {
	if len(b) < recordHeader || binary.BigEndian.Uint32(b) != recordSum(seq, b) {
		return record{}, errDamagedRecord
	}
	sec, nsec := int64(binary.BigEndian.Uint64(b[16:])), int64(binary.BigEndian.Uint32(b[24:]))
	r := record{due: int64(binary.BigEndian.Uint64(b[8:]))}
	r.m.Attempt = int(binary.BigEndian.Uint32(b[4:]))
	r.m.RecordedAt = time.Unix(sec, nsec).UTC()
	b = b[recordHeader:]
	for _, p := range [...]*string{&r.m.Kind, &r.m.Customer, &r.m.Key} {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return record{}, errDamagedRecord
		}
		*p = string(b[w : w+int(n)])
		b = b[w+int(n):]
	}
	r.m.Body = bytes.Clone(b)
	r.m.Digest = digestOf(r.m)
	return r, nil
}

// digestOf makes the digest anew, which the record does not have.
func digestOf(m fprom.Message) uint64 {
	e, err := m.Event()
	if err != nil {
		return 0
	}
	again, _ := fprom.NewMessage(e) // the digest of an event that is no longer valid is 0
	return again.Digest
}

// deadInfo is what is kept beside a dead message.
type deadInfo struct {
	Reason  string    `json:"reason"`
	Status  int       `json:"status,omitzero"`
	Code    string    `json:"code,omitempty"`
	Answer  string    `json:"answer,omitempty"`
	At      time.Time `json:"at"`
	Damaged bool      `json:"damaged,omitzero"`
}

// encodeDead: crc32c (4) of seq and the rest, the length of the JSON of info (4), the JSON, and the message's record.
func encodeDead(seq uint64, info deadInfo, rec []byte) ([]byte, error) {
	info.Reason, info.Answer = shorten(info.Reason), shorten(info.Answer)
	j, err := json.Marshal(info)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 4, 8+len(j)+len(rec))
	b = binary.BigEndian.AppendUint32(b, uint32(len(j)))
	b = append(append(b, j...), rec...)
	binary.BigEndian.PutUint32(b, recordSum(seq, b))
	return b, nil
}

func decodeDead(seq uint64, b []byte) (deadInfo, []byte, error) {
	var info deadInfo
	if len(b) < 8 || binary.BigEndian.Uint32(b) != recordSum(seq, b) {
		return info, nil, errDamagedRecord
	}
	n := uint64(binary.BigEndian.Uint32(b[4:]))
	if n > uint64(len(b)-8) || json.Unmarshal(b[8:8+n], &info) != nil {
		return info, nil, errDamagedRecord
	}
	return info, bytes.Clone(b[8+n:]), nil
}

func shorten(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return s[:maxReason] + "…"
}
