package backfill

import (
	"cmp"
	"hash/maphash"
	"strconv"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
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
const remembered = 1 << 14

// twins finds, among the last rows, one that is equal in one thing and not in another.
type twins struct {
	seed     maphash.Seed
	now, old map[uint64]twin
}

type twin struct {
	differs uint64
	line    int
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

// see remembers a row. It returns the line of the last row that is equal to it, or 0, and whether that one differs.
func (t *twins) see(line int, equal, differs uint64) (other int, differ bool) {
	last, seen := t.now[equal]
	if !seen {
		last, seen = t.old[equal]
	}
	if len(t.now) >= remembered {
		t.old, t.now = t.now, make(map[uint64]twin, remembered)
	}
	t.now[equal] = twin{differs, line}
	return last.line, seen && last.differs != differs
}

// payment finds the row of a payment with the same customer, money and minute, and another event id.
func (t *twins) payment(line int, at time.Time, id, customer string, m money) (other int, found bool) {
	if at.IsZero() || customer == "" {
		return 0, false
	}
	return t.see(line, t.hash(customer, m.currency, strconv.FormatInt(m.amount, 10), strconv.FormatInt(at.Unix()/60, 10)), t.hash(id))
}

// id returns the line of the row with the same event id and money, or 0. If customer or time differ, it is a subscription's id, where
// each payment needs its own.
func (t *twins) id(r Row) (other int, differ bool) {
	m, customer := moneyOf(r.Event), ""
	switch e := r.Event.(type) {
	case fprom.Sale:
		customer = backlog.Customer(cmp.Or(e.Email, e.UID))
	case fprom.Refund:
		customer = backlog.Customer(cmp.Or(e.Email, e.UID))
	}
	return t.see(r.Line, t.hash(r.EventID, m.currency, strconv.FormatInt(m.amount, 10)), t.hash(customer, strconv.FormatInt(r.At.Unix(), 10)))
}
