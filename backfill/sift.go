package backfill

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/fprom-go/fprom"
)

var seed = maphash.MakeSeed()

// sift takes out of the batch what the outbox knows, and what the batch has twice.
func (l *loader) sift(ctx context.Context) (fresh []pending, err error) {
	known, err := l.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	inBatch := make(map[string]uint64, len(l.pending))
	for _, p := range l.pending {
		digest, same := inBatch[p.msg.Key]
		if !same {
			digest, same = l.seenDry(p.msg)
		}
		e, stored := known[fprom.SafeKey(p.msg.Key)]
		switch {
		case stored && !e.Damaged && !sameMoney(e, p.msg), same && digest != p.msg.Digest:
			if err := l.conflict(p); err != nil {
				return nil, err
			}
		case stored || same:
			l.result.Known++
		default:
			inBatch[p.msg.Key] = p.msg.Digest
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}

// lookUp finds the batch's rows in the outbox, by SafeKey. A dead letter is left out: its key is free.
func (l *loader) lookUp(ctx context.Context) (map[string]fprom.Entry, error) {
	known := map[string]fprom.Entry{}
	if len(l.pending) == 0 {
		return known, nil
	}
	keys := make([]string, len(l.pending))
	for i, p := range l.pending {
		keys[i] = p.msg.Key
	}
	for e, err := range l.Outbox.Entries(ctx, fprom.Filter{Keys: keys}) {
		if err != nil {
			return nil, fmt.Errorf("fprom: look rows up in the outbox: %w", err)
		}
		if e.State == fprom.StateDead {
			continue
		}
		known[e.Key] = e
		if e.Bulk && e.RecordedAt.Before(l.result.Since) {
			l.result.Since = e.RecordedAt
		}
	}
	return known, nil
}

func sameMoney(e fprom.Entry, m fprom.Message) bool {
	amount, currency := m.Money()
	return e.Amount == amount && e.Currency == currency
}

// seenDry remembers what a dry run would have stored, as two numbers a row.
func (l *loader) seenDry(m fprom.Message) (digest uint64, seen bool) {
	if !l.DryRun {
		return 0, false
	}
	if l.dry == nil {
		l.dry = map[uint64]uint64{}
	}
	key := maphash.String(seed, m.Key)
	digest, seen = l.dry[key]
	if !seen {
		l.dry[key] = m.Digest
	}
	return digest, seen
}
