package boltqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest/queuetest"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.TestQueue(t, func(t *testing.T) fprom.Queue {
		t.Helper()
		return open(t, t.TempDir())
	})
}

func TestDurableQueue(t *testing.T) {
	t.Parallel()
	queuetest.TestDurableQueue(t, func(t *testing.T, dir string) fprom.Queue {
		t.Helper()
		return open(t, dir)
	})
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	queuetest.TestOutbox(t, func(t *testing.T, dir string) fprom.Outbox {
		t.Helper()
		return open(t, dir)
	})
}

func TestPutsShareCommits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{}, 100)
		q := open(t, t.TempDir(), boltqueue.WithFailures(func() error { <-gate; return nil }, whole))
		for range 10 {
			gate <- struct{}{}
		}
		before := q.Commits()
		for i := range 10 {
			put(t, q, sale(t, i, 100))
		}
		if n := q.Commits() - before; n != 10 {
			t.Errorf("10 puts, one after the other, took %d commits, want 10", n)
		}
		put(t, q, sale(t, 1, 100), sale(t, 2, 100))
		if n := q.Commits() - before; n != 10 {
			t.Errorf("a put of known events took %d commits, want 0", n-10)
		}
		before = q.Commits()
		const n = 64
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { put(t, q, sale(t, 100+i, 100)) })
			synctest.Wait() // the commit is held up with the first one
		}
		close(gate)
		wg.Wait()
		if got := q.Commits() - before; got != 2 {
			t.Errorf("%d puts at once took %d commits, want 2: the first had begun", n, got)
		}
		if s := stats(t, q); s.Pending != 10+n {
			t.Errorf("%d messages are pending, want %d", s.Pending, 10+n)
		}
	})
}

func TestPutWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		q := open(t, t.TempDir(), boltqueue.WithFailures(func() error { <-gate; return nil }, whole))
		begun := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		first := sale(t, "begun", 100)
		go func() { begun <- q.Put(ctx, first) }()
		synctest.Wait() // a commit has it
		short, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		if err := q.Put(short, sale(t, "waiting", 100)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put that waits for its commit: %v, want the context's error", err)
		}
		cancel()
		if err := <-begun; !errors.Is(err, context.Canceled) {
			t.Errorf("Put whose commit has begun: %v, want the context's error", err)
		}
		close(gate)
		put(t, q, first, sale(t, "last", 100))
		for i := range 20 { // nothing keeps these from a commit
			if err := q.Put(ctx, sale(t, i, 100)); !errors.Is(err, context.Canceled) {
				t.Errorf("Put with an ended context: %v", err)
			}
		}
		synctest.Wait()
		if s := stats(t, q); s.Pending != 2 {
			t.Errorf("%d messages are pending, want 2: the one whose commit had begun, and the last", s.Pending)
		}
	})
}

// TestPutKeepsMessages: who gives up a Put may use its messages for others: what was put is stored.
func TestPutKeepsMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := make(chan struct{}, 1)
		disk <- struct{}{} // for Open
		q := open(t, t.TempDir(), boltqueue.WithAllocate(func() error { <-disk; return nil }))
		m := sale(t, 1, 100)
		m.Body = fmt.Appendf(nil, "%*q", 1<<19, "large") // more than is allocated
		ms := []fprom.Message{m}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Put(ctx, ms...); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put while the disk hangs: %v", err)
		}
		ms[0] = sale(t, 2, 100)
		close(disk)
		put(t, q, m) // which is known
		if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != m.Key {
			t.Errorf("%d events were delivered, want %s alone", len(got), m.Key)
		}
	})
}

func TestClosed(t *testing.T) {
	t.Parallel()
	q := open(t, t.TempDir())
	m := sale(t, 1, 100)
	put(t, q, m)
	closeQueue(t, q)
	closeQueue(t, q)
	if err := q.Put(t.Context(), m); !errors.Is(err, fprom.ErrQueueClosed) {
		t.Errorf("Put after Close: %v, want ErrQueueClosed", err)
	}
	if err := run(t.Context(), q, nil); !errors.Is(err, fprom.ErrQueueClosed) {
		t.Errorf("Run after Close: %v, want ErrQueueClosed", err)
	}
	if err := q.Flush(t.Context()); !errors.Is(err, fprom.ErrQueueClosed) {
		t.Errorf("Flush after Close: %v, want ErrQueueClosed", err)
	}
	if _, err := q.Redrive(t.Context(), fprom.Filter{}); !errors.Is(err, fprom.ErrQueueClosed) {
		t.Errorf("Redrive after Close: %v, want ErrQueueClosed", err)
	}
	for _, err := range q.Entries(t.Context(), fprom.Filter{}) {
		if !errors.Is(err, fprom.ErrQueueClosed) {
			t.Errorf("Entries after Close: %v, want ErrQueueClosed", err)
		}
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q := open(t, dir, boltqueue.WithRetention(40*time.Hour))
		cancellation := message(t, fprom.Cancellation{Email: "c0@example.com"})
		const n = 60
		for i := range n { // one an hour
			put(t, q, sale(t, i, 100), cancellation)
			if got := deliver(t, q, nil); len(got) != 2 {
				t.Fatalf("hour %d: %d deliveries, want the sale and the cancellation", i, len(got))
			}
			time.Sleep(time.Hour)
		}
		// Sale i is n-i hours old.
		for i := range n {
			put(t, q, sale(t, i, 100))
			forgotten := stats(t, q).Pending == 1
			if want := n-i > 41; forgotten != want && n-i != 41 {
				t.Errorf("a sale of %d hours ago is forgotten: %v, want %v", n-i, forgotten, want)
			}
			deliver(t, q, nil)
		}
		closeQueue(t, q)
		q = open(t, dir, boltqueue.WithRetention(40*time.Hour))
		if s := stats(t, q); !s.LastSuccess.Equal(time.Now()) {
			t.Errorf("after a restart the last success was %v, want %v", s.LastSuccess, time.Now())
		}
		if s := stats(t, q); s.Ledger < 58 || s.Ledger > 62 {
			t.Errorf("%d ids are remembered, want about %d", s.Ledger, n)
		}
		time.Sleep(100 * time.Hour)
		for i := range 5 { // each outcome removes some that are too old
			put(t, q, sale(t, fmt.Sprint("last", i), 100))
			deliver(t, q, nil)
		}
		if s := stats(t, q); s.Ledger != 5 {
			t.Errorf("%d ids are remembered after a long time, want the last 5", s.Ledger)
		}
	})
}

// TestDefaultRetention: without WithRetention a renewal under last year's id is still recognized.
func TestDefaultRetention(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir())
		put(t, q, sale(t, "a", 100))
		deliver(t, q, nil)
		for _, c := range []struct{ days, waiting int }{{399, 0}, {2, 1}} {
			time.Sleep(time.Duration(c.days) * 24 * time.Hour)
			put(t, q, sale(t, c.days, 100))
			deliver(t, q, nil) // an outcome removes what is too old
			put(t, q, sale(t, "a", 100))
			if s := stats(t, q); s.Pending != c.waiting {
				t.Errorf("%d days later %d wait, want %d", c.days, s.Pending, c.waiting)
			}
		}
	})
}

// TestRetentionForEver: a retention beyond what times can hold forgets nothing, nor does the default, and the shortest forgets at once.
func TestRetentionForEver(t *testing.T) {
	t.Parallel()
	for retention, want := range map[time.Duration]int{math.MaxInt64: 2, 0: 2, 1: 0} {
		q := open(t, t.TempDir(), boltqueue.WithRetention(retention))
		put(t, q, sale(t, 1, 100))
		deliver(t, q, nil)
		put(t, q, sale(t, 2, 100))
		deliver(t, q, nil)
		if s := stats(t, q); s.Ledger != want {
			t.Errorf("%d ids are remembered for %d ns, want %d", s.Ledger, retention, want)
		}
	}
}

// TestRenewalUnderAnOldID: a sale that is known since long before is in the log, and one that a webhook repeats is not.
func TestRenewalUnderAnOldID(t *testing.T) {
	t.Parallel()
	for _, days := range []int{4, 30} {
		var log bytes.Buffer
		q := open(t, t.TempDir(), boltqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		m := sale(t, "sub_1", 4900)
		put(t, q, m)
		deliver(t, q, nil)
		m.RecordedAt = m.RecordedAt.AddDate(0, 0, days)
		put(t, q, m)
		if got := strings.Contains(log.String(), "came again long after"); got != (days == 30) {
			t.Errorf("after %d days: %q", days, log.String())
		}
	}
}

type panicking struct{ slog.Handler }

func (panicking) Enabled(context.Context, slog.Level) bool  { return true }
func (panicking) Handle(context.Context, slog.Record) error { panic("foreign code") }
func (h panicking) WithAttrs([]slog.Attr) slog.Handler      { return h }

// TestPanickingLogger: a Logger that panics ends neither a Put nor the process.
func TestPanickingLogger(t *testing.T) {
	t.Parallel()
	q := open(t, t.TempDir(), boltqueue.WithLogger(slog.New(panicking{slog.DiscardHandler})))
	m := message(t, fprom.Sale{EventID: "sub_1", Email: "ann@example.com", Amount: 4900})
	put(t, q, m)
	deliver(t, q, nil)
	m.RecordedAt = m.RecordedAt.AddDate(0, 1, 0)
	put(t, q, m) // is warned of
	if s := stats(t, q); s.Ledger != 1 || s.Pending != 0 {
		t.Errorf("%+v, want the one event done", s)
	}
}

// TestReadWhileClosing: readers that meet Close learn that the queue is closed.
func TestReadWhileClosing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 20 {
		q := open(t, dir)
		var readers sync.WaitGroup
		for range 8 {
			readers.Go(func() {
				var err error
				for err == nil {
					_, err = q.History(t.Context(), time.Now().Add(-time.Hour), time.Now(), time.Hour)
				}
				if !errors.Is(err, fprom.ErrQueueClosed) {
					t.Errorf("History: %v, want ErrQueueClosed", err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		closeQueue(t, q)
		readers.Wait()
	}
}
