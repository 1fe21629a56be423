package fprom_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// fullDisk is a queue that stores nothing while err is set.
type fullDisk struct {
	fprom.Queue
	err error
}

func (q *fullDisk) Put(ctx context.Context, m ...fprom.Message) error {
	if q.err != nil {
		return q.err
	}
	return q.Queue.Put(ctx, m...)
}

// Stats say why the last event was not stored, until one is.
func TestStatsSayWhyNothingIsStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &fullDisk{Queue: fprom.NewMemoryQueue(10), err: errors.New("no space left on device")}
		cfg := config(always(ok()))
		cfg.Queue = q
		tracker := start(t, cfg)
		for _, want := range []string{"no space left on device", ""} {
			if err := tracker.Enqueue(t.Context(), sale("a")); (err == nil) != (want == "") {
				t.Errorf("error %v, want %q", err, want)
			}
			if got := tracker.Stats().PutError; got != want {
				t.Errorf("PutError %q, want %q", got, want)
			}
			q.err = nil
		}
	})
}

// TestNilErrorOfQueue: an error of the queue that is a nil pointer panics when it is looked at. The customer has paid and sees it.
func TestNilErrorOfQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := config(always(ok()))
		cfg.Queue = &fullDisk{Queue: fprom.NewMemoryQueue(10), err: (*fprom.ConflictError)(nil)}
		tracker := start(t, cfg)
		w := serve(t, fprom.NewHook(tracker), "", func(_ http.ResponseWriter, r *http.Request) { record(t, r, validSale("1")) })
		if s := tracker.Stats(); w.Code != http.StatusOK || s.Lost != 1 || s.Panics != 1 {
			t.Errorf("status %d, %d lost, %d panics; want 200, 1, 1", w.Code, s.Lost, s.Panics)
		}
	})
}

// keepsAll is a queue that keeps the slice that Put got, and knows the first of several messages with another amount.
type keepsAll struct {
	fprom.Queue
	kept []fprom.Message
}

func (q *keepsAll) Put(ctx context.Context, m ...fprom.Message) error {
	q.kept = m
	return errors.Join(q.Queue.Put(ctx, m[1:]...), &fprom.ConflictError{Keys: []string{m[0].Key}})
}

// TestPutMayKeepTheMessages: what a queue has got does not change after Put.
func TestPutMayKeepTheMessages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg, q := config(always(ok())), &keepsAll{Queue: fprom.NewMemoryQueue(10)}
		cfg.Queue = q
		if err := start(t, cfg).Enqueue(t.Context(), sale("a"), sale("b")); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("error %v, want ErrConflict", err)
		}
		if a, b := q.kept[0].Key, q.kept[1].Key; a != "sale:a" || b != "sale:b" {
			t.Errorf("the queue has %s and %s, want sale:a and sale:b", a, b)
		}
	})
}

func TestPutOfSeveral(t *testing.T) {
	t.Parallel()
	messages := func(ids ...string) (ms []fprom.Message) {
		for _, id := range ids {
			m, err := fprom.NewMessage(sale(id))
			if err != nil {
				t.Fatal(err)
			}
			ms = append(ms, m)
		}
		return ms
	}
	pending := func(q fprom.Queue) int {
		s, err := q.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Pending
	}
	q := fprom.NewMemoryQueue(4)
	other := sale("a")
	other.Amount++
	conflict, err := fprom.NewMessage(other)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		ms      []fprom.Message
		err     error
		pending int
	}{
		{nil, nil, 0},
		{messages("a", "b", "a"), nil, 2},
		{messages("c", "d", "e"), fprom.ErrQueueFull, 2},
		{append(messages("c"), conflict), fprom.ErrConflict, 3},
		{append(messages("c"), conflict), fprom.ErrConflict, 3},
		{messages("a", "b", "c", "d", "a", "d"), nil, 4},
		{messages("a"), nil, 4},
		{messages("e"), fprom.ErrQueueFull, 4},
	} {
		if err := q.Put(t.Context(), step.ms...); !errors.Is(err, step.err) || pending(q) != step.pending {
			t.Errorf("Put %d: %v, %d pending; want %v, %d", i, err, pending(q), step.err, step.pending)
		}
	}
}

// noFigures is a Queue whose Stats hangs, as over a dead connection.
type noFigures struct{ sink }

func (noFigures) Stats(ctx context.Context) (fprom.QueueStats, error) {
	<-ctx.Done()
	return fprom.QueueStats{}, ctx.Err()
}

// Neither New nor Stats waits longer than a second for the figures of a queue.
func TestStatsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		cfg := config(always(ok()))
		cfg.Queue = noFigures{}
		s := start(t, cfg).Stats()
		if d := time.Since(begin); s.QueueError == "" || s.Breaker != "closed" || d > 2*time.Second {
			t.Errorf("after %v: %+v", d, s)
		}
	})
}
