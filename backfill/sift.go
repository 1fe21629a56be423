package backfill

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// index maps keys to their money. It stores hashes only, in 12 bytes an entry.
type index struct {
	seed maphash.Seed
	of   map[keyHash]uint32
}

// keyHash is a hash of 64 bits in two halves: so an entry of the map needs no padding.
type keyHash struct{ high, low uint32 }

func newIndex() *index { return &index{maphash.MakeSeed(), map[keyHash]uint32{}} }

func (x *index) hash(key string) keyHash {
	h := maphash.String(x.seed, fprom.SafeKey(key))
	return keyHash{uint32(h >> 32), uint32(h)}
}

func (x *index) hashMoney(m money) uint32 { return uint32(maphash.Comparable(x.seed, m)) }

func (x *index) add(key string, m money) { x.of[x.hash(key)] = x.hashMoney(m) }

func (x *index) find(key string, m money) (known, same bool) {
	h, known := x.of[x.hash(key)]
	return known, h == x.hashMoney(m)
}

// money must be the same in two events with one key.
type money struct {
	amount   int64
	currency string
}

func moneyOf(e fprom.Event) money {
	switch e := e.(type) {
	case fprom.Sale:
		return money{e.Amount, strings.ToLower(strings.TrimSpace(e.Currency))}
	case fprom.Refund:
		return money{e.Amount, strings.ToLower(strings.TrimSpace(e.Currency))}
	}
	return money{}
}

var errRepeated = errors.New("fprom: the row has the event id and amount of an earlier row, or another run brings the file in now: remove it if it is a copy; if it is another payment, give it an id of its own, and leave the earlier row as it is")

// sift returns the rows of the batch that are new: neither in the outbox nor twice in the file. The outbox has the batches
// before, but not in a dry run: then own keeps their keys. It also keeps all keys of events that have no id of their own
// (cancellations), since an outbox does not find these by key: it is read through once.
func (l *loader) sift(ctx context.Context) (fresh []pending, err error) {
	if len(l.pending) == 0 {
		return nil, nil
	}
	repeats := fprom.Message{Kind: l.kind}.Repeats()
	if !repeats {
		clear(l.index.of)
		if !l.DryRun {
			clear(l.own.of)
		}
	}
	if l.Outbox != nil && (!repeats || !l.looked) {
		if err := l.lookUp(ctx, !repeats); err != nil {
			return nil, err
		}
		l.looked = true
	}
	for _, p := range l.pending {
		m := moneyOf(p.row.Event)
		is, same := l.own.find(p.msg.Key, m)
		again := is && same
		if !is {
			is, same = l.index.find(p.msg.Key, m)
			again = is && same && p.row.twin // an earlier run stored the first one
		}
		if again && (l.kind == fprom.KindSale || l.kind == fprom.KindRefund) { // the others have no event id
			l.result.Repeated++
			if err := l.refuse(p.row, errRepeated); err != nil {
				return nil, err
			}
		}
		switch {
		case is && !same:
			if err := l.conflict(p); err != nil {
				return nil, err
			}
		case is:
			l.result.Known++
		default:
			l.own.add(p.msg.Key, m)
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}

// lookUp adds events of the outbox to the index: those of the batch, or all. It leaves out dead letters: their keys are free.
func (l *loader) lookUp(ctx context.Context, batch bool) error {
	f := fprom.Filter{Kind: l.kind}
	if batch {
		for _, p := range l.pending {
			f.Keys = append(f.Keys, p.msg.Key)
		}
	}
	for e, err := range l.Outbox.Entries(ctx, f) {
		if err != nil {
			return fmt.Errorf("fprom: look rows up in the outbox: %w", err)
		}
		if e.State == fprom.StateDead || e.Damaged {
			continue
		}
		index := l.index
		if e.Bulk && !e.RecordedAt.Before(l.start.Truncate(time.Microsecond)) { // a database has no nanoseconds
			index = l.own
		}
		index.add(e.Key, money{e.Amount, e.Currency})
		if e.Bulk && e.State == fprom.StateWaiting && e.RecordedAt.Before(l.result.Since) {
			l.result.Since = e.RecordedAt
		}
	}
	return nil
}
