package boltqueue_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// TestChaos calls everything at once, with contexts that end at any time and commits that fail, closes the queue in the
// midst of it, and opens it again. What was accepted is delivered in the end, and no call hangs.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := &chaos{dir: t.TempDir(), accepted: map[string]bool{}, delivered: map[string]bool{}}
	for _, early := range []bool{false, true, true, false} {
		q := c.open(t)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { c.puts(t, q) })
		}
		for range 2 {
			all.Go(func() { c.runs(t, q) })
		}
		all.Go(func() { c.others(t, q) })
		if early {
			time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
			_ = q.Close()
		}
		all.Wait()
		_ = q.Close() // outcomes that could not be written are an error
	}
	q := open(t, c.dir)
	if _, err := q.Redrive(t.Context(), fprom.Filter{}); err != nil {
		t.Error(err)
	}
	for _, m := range deliver(t, q, nil) {
		c.delivered[m.Key] = true
	}
	for key := range c.accepted {
		if !c.delivered[key] {
			t.Errorf("%s was accepted and not delivered", key)
		}
	}
	if s := stats(t, q); s.Pending+s.Dead > 0 || s.Ledger != len(c.delivered) || len(c.accepted) == 0 {
		t.Errorf("%+v at the end, want %d remembered; %d accepted", s, len(c.delivered), len(c.accepted))
	}
}

type chaos struct {
	dir       string
	id        atomic.Int64
	mu        sync.Mutex
	accepted  map[string]bool
	delivered map[string]bool
}

func (c *chaos) open(t *testing.T) *boltqueue.Queue {
	t.Helper()
	flaky := func() error {
		if rand.IntN(20) == 0 {
			return syscall.ENOSPC
		}
		return nil
	}
	q, err := openAt(filepath.Join(c.dir, "fprom.db"), discard, boltqueue.WithFailures(flaky, whole))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func soon(t *testing.T, most time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), rand.N(most))
}

func (c *chaos) puts(t *testing.T, q *boltqueue.Queue) {
	t.Helper()
	for range 30 {
		m := sale(t, c.id.Add(1), 100)
		m.Customer = string(rune('a' + rand.IntN(26)))
		most := 3 * time.Millisecond
		if rand.IntN(10) == 0 { // long enough for a slow disk
			most = time.Minute
		}
		ctx, cancel := soon(t, most)
		err := q.Put(ctx, m)
		cancel()
		c.mu.Lock()
		if err == nil {
			c.accepted[m.Key] = true
		}
		c.mu.Unlock()
	}
}

func (c *chaos) runs(t *testing.T, q *boltqueue.Queue) {
	t.Helper()
	for range 4 {
		ctx, cancel := soon(t, 40*time.Millisecond)
		_ = run(ctx, q, func(_ context.Context, m fprom.Message) error {
			switch rand.IntN(8) {
			case 0:
				return errors.New("again")
			case 1:
				return errRejected
			}
			c.mu.Lock()
			c.delivered[m.Key] = true
			c.mu.Unlock()
			return nil
		})
		cancel()
	}
}

func (c *chaos) others(t *testing.T, q *boltqueue.Queue) {
	t.Helper()
	for range 10 {
		ctx, cancel := soon(t, 20*time.Millisecond)
		_ = q.Flush(ctx)
		_, _ = q.Redrive(ctx, fprom.Filter{})
		_, _ = q.Stats(ctx)
		cancel()
	}
}
