package backfill

import (
	"hash/maphash"
	"strconv"
	"time"
)

// Warning says that two rows look like one payment under two event ids: the same customer, amount, currency and minute.
// Both are used: only a person can decide.
type Warning struct {
	Line, Other int // lines of the file
}

// String is the warning as a sentence.
func (w Warning) String() string {
	return "lines " + strconv.Itoa(w.Other) + " and " + strconv.Itoa(w.Line) +
		" have the same customer, amount and minute under different event ids: if that was one payment, refund one of them"
}

// remembered is the size of each of the two generations of twins. Twins are near each other, since files are nearly sorted by
// time.
const remembered = 1 << 15

// twins finds rows that look like one payment among the last rows.
type twins struct {
	seed     maphash.Seed
	now, old map[uint64]twin
}

type twin struct {
	id   uint64
	line int
}

func newTwins() *twins { return &twins{seed: maphash.MakeSeed(), now: map[uint64]twin{}} }

func (t *twins) hash(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// see remembers a row and returns the line of its twin.
func (t *twins) see(line int, at time.Time, id, customer string, m money) (other int, found bool) {
	if at.IsZero() || customer == "" {
		return 0, false
	}
	key := t.hash(customer, m.currency, strconv.FormatInt(m.amount, 10), strconv.FormatInt(at.Unix()/60, 10))
	own := t.hash(id)
	last, seen := t.now[key]
	if !seen {
		last, seen = t.old[key]
	}
	if len(t.now) >= remembered {
		t.old, t.now = t.now, make(map[uint64]twin, remembered)
	}
	t.now[key] = twin{own, line}
	return last.line, seen && last.id != own
}
