package backfill

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/fprom-go/fprom"
)

// indexAfter is how many rows are looked up in the outbox batch by batch. For a longer file the outbox is read once, since a
// lookup may have to look at everything that waits, and that grows with every batch.
const indexAfter = 5000

// index knows which keys are in the outbox and in the rows before, with their money: two numbers each.
type index struct {
	seed maphash.Seed
	of   map[uint64]uint64
}

func (x *index) hash(key string) uint64 { return maphash.String(x.seed, fprom.SafeKey(key)) }

func (x *index) add(key string, money money) { x.of[x.hash(key)] = maphash.Comparable(x.seed, money) }

func (x *index) find(key string, m money) (known, same bool) {
	h, known := x.of[x.hash(key)]
	return known, h == maphash.Comparable(x.seed, m)
}

// money is what two events with one key must have in common.
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

// sift takes out of the batch what the outbox has, and what the rows have twice.
func (l *loader) sift(ctx context.Context) (fresh []pending, err error) {
	known := l.index
	if l.result.Rows <= indexAfter {
		if err := l.lookUp(ctx); err != nil {
			return nil, err
		}
	} else if !l.indexed {
		if err := l.readOutbox(ctx, fprom.Filter{}); err != nil {
			return nil, err
		}
		l.indexed = true
	}
	for _, p := range l.pending {
		m := moneyOf(p.row.Event)
		switch is, same := known.find(p.msg.Key, m); {
		case is && !same:
			if err := l.conflict(p); err != nil {
				return nil, err
			}
		case is:
			l.result.Known++
		default:
			known.add(p.msg.Key, m)
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}

func (l *loader) lookUp(ctx context.Context) error {
	if len(l.pending) == 0 {
		return nil
	}
	keys := make([]string, len(l.pending))
	for i, p := range l.pending {
		keys[i] = p.msg.Key
	}
	return l.readOutbox(ctx, fprom.Filter{Keys: keys})
}

// readOutbox takes entries into the index. A dead letter is left out: its key is free.
func (l *loader) readOutbox(ctx context.Context, f fprom.Filter) error {
	for e, err := range l.Outbox.Entries(ctx, f) {
		if err != nil {
			return fmt.Errorf("fprom: look rows up in the outbox: %w", err)
		}
		if e.State == fprom.StateDead || e.Damaged || e.Kind != l.kind {
			continue
		}
		l.index.add(e.Key, money{e.Amount, e.Currency})
		if e.Bulk && e.State == fprom.StateWaiting && e.RecordedAt.Before(l.result.Since) {
			l.result.Since = e.RecordedAt
		}
	}
	return nil
}
