package statuspage_test

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

// outbox is a fprom.Outbox whose entries a test makes up.
type outbox struct {
	fprom.Queue // what the page never calls

	mu       sync.Mutex
	stats    fprom.QueueStats
	entries  []fprom.Entry // customers in clear
	err      error         // of everything
	writable error
	reads    int // calls of Stats
}

func (o *outbox) Writable(context.Context) error { return o.writable }

func (o *outbox) Stats(context.Context) (fprom.QueueStats, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reads++
	s := o.stats
	for _, e := range o.entries {
		switch e.State {
		case fprom.StateDead:
			s.Dead++
		case fprom.StateDone:
			s.Ledger++
			if e.SettledAt.After(s.LastSuccess) {
				s.LastSuccess = e.SettledAt
			}
		case fprom.StateWaiting:
			if e.Bulk {
				s.Bulk++
			} else {
				s.Pending++
			}
			if s.Oldest.IsZero() || e.RecordedAt.Before(s.Oldest) {
				s.Oldest = e.RecordedAt
			}
		}
	}
	return s, o.err
}

func (o *outbox) Entries(_ context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	o.mu.Lock()
	entries, err := slices.Clone(o.entries), o.err
	o.mu.Unlock()
	return func(yield func(fprom.Entry, error) bool) {
		if err != nil {
			yield(fprom.Entry{}, err)
			return
		}
		after, _ := strconv.Atoi(f.After)
		n := 0
		for i, e := range entries {
			if i < after || !f.Match(e) {
				continue
			}
			if f.Limit > 0 && n == f.Limit {
				return
			}
			n++
			e.Cursor = strconv.Itoa(i + 1)
			if !yield(f.Show(e), nil) {
				return
			}
		}
	}
}

func (o *outbox) Redrive(_ context.Context, f fprom.Filter) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.State = fprom.StateDead
	n := 0
	for i, e := range o.entries {
		if f.Match(e) {
			o.entries[i].State, o.entries[i].SettledAt = fprom.StateWaiting, time.Time{}
			n++
		}
	}
	return n, o.err
}

func (o *outbox) Drop(_ context.Context, f fprom.Filter) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.State = fprom.StateDead
	before := len(o.entries)
	o.entries = slices.DeleteFunc(o.entries, f.Match)
	return before - len(o.entries), o.err
}

func (o *outbox) History(_ context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []fprom.Bucket
	for t := from.Truncate(step); t.Before(to); t = t.Add(step) {
		b := fprom.Bucket{Start: t}
		for _, e := range o.entries {
			if !e.SettledAt.Before(t) && e.SettledAt.Before(t.Add(step)) {
				b.Add(e.State, e.Outcome)
			}
		}
		out = append(out, b)
	}
	return out, o.err
}

func (o *outbox) Forget(context.Context, string) (int, error) { return 0, nil }

var _ fprom.Outbox = (*outbox)(nil)

// entry is an event that was recorded some time ago.
func entry(key string, state fprom.State, outcome fprom.Outcome, ago time.Duration) fprom.Entry {
	e := fprom.Entry{
		Key: "sale:" + key, Kind: fprom.KindSale, State: state, Outcome: outcome, Amount: 4900, Currency: "usd",
		Customer: "jane@example.com", RecordedAt: time.Now().Add(-ago), Attempts: 1,
	}
	if state != fprom.StateWaiting {
		e.SettledAt = e.RecordedAt.Add(time.Second)
	}
	return e
}
