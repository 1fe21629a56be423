// Package outboxtest has a fprom.Outbox whose state a test makes up.
package outboxtest

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

// Outbox is a fprom.Outbox in memory. Nothing delivers from it.
type Outbox struct {
	fprom.Queue // what no operator calls: nil

	Status fprom.QueueStats // what is not counted from Events
	Events []fprom.Entry    // the oldest first, customers in clear
	Err    error            // of everything
	Slow   time.Duration    // how long Entries takes for each event if no state is asked for
	Reads  int              // how often Stats was called

	mu sync.Mutex
}

// Stats implements fprom.Outbox.
func (o *Outbox) Stats(context.Context) (fprom.QueueStats, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.Reads++
	s := o.Status
	for _, e := range o.Events {
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
	return s, o.Err
}

// Entries implements fprom.Outbox.
func (o *Outbox) Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	o.mu.Lock()
	entries, err := slices.Clone(o.Events), o.Err
	o.mu.Unlock()
	return func(yield func(fprom.Entry, error) bool) {
		if err != nil {
			yield(fprom.Entry{}, err)
			return
		}
		after, _ := strconv.Atoi(f.After)
		n := 0
		for i, e := range entries {
			if i < after {
				continue
			}
			if f.State == "" {
				wait(ctx, o.Slow)
			}
			if ctx.Err() != nil {
				yield(fprom.Entry{}, ctx.Err())
				return
			}
			if !f.Match(e) {
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

// Redrive implements fprom.Outbox.
func (o *Outbox) Redrive(_ context.Context, f fprom.Filter) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.State = fprom.StateDead
	n := 0
	for i, e := range o.Events {
		if f.Match(e) && !e.Damaged {
			o.Events[i].State, o.Events[i].SettledAt = fprom.StateWaiting, time.Time{}
			n++
		}
	}
	return n, o.Err
}

// Drop implements fprom.Outbox.
func (o *Outbox) Drop(_ context.Context, f fprom.Filter) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.State = fprom.StateDead
	before := len(o.Events)
	o.Events = slices.DeleteFunc(o.Events, f.Match)
	return before - len(o.Events), o.Err
}

// History implements fprom.Outbox.
func (o *Outbox) History(_ context.Context, from, to time.Time, step time.Duration) ([]fprom.Bucket, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []fprom.Bucket
	for t := from.Truncate(step); t.Before(to); t = t.Add(step) {
		b := fprom.Bucket{Start: t}
		for _, e := range o.Events {
			if !e.SettledAt.Before(t) && e.SettledAt.Before(t.Add(step)) {
				b.Add(e.State, e.Outcome)
			}
		}
		out = append(out, b)
	}
	return out, o.Err
}

// Forget implements fprom.Outbox. It forgets nobody.
func (o *Outbox) Forget(context.Context, string) (int, error) { return 0, nil }

var _ fprom.Outbox = (*Outbox)(nil)

// Event is a sale that was recorded some time ago, and had its outcome a second later if it has one.
func Event(key string, state fprom.State, outcome fprom.Outcome, ago time.Duration) fprom.Entry {
	e := fprom.Entry{
		Key: "sale:" + key, Kind: fprom.KindSale, State: state, Outcome: outcome, Amount: 4900, Currency: "usd",
		Customer: "jane@example.com", RecordedAt: time.Now().Add(-ago), Attempts: 1,
	}
	if state != fprom.StateWaiting {
		e.SettledAt = e.RecordedAt.Add(time.Second)
	}
	return e
}

// Add adds events.
func (o *Outbox) Add(events ...fprom.Entry) {
	o.Change(func() { o.Events = append(o.Events, events...) })
}

// Change changes fields while the outbox is in use.
func (o *Outbox) Change(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
