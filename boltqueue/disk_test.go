package boltqueue_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

// TestUnconfirmed: a commit that failed after all was written, but for the confirmation, must not be built upon. Else its
// events would be overwritten by the next, and their outcomes taken for those of the others.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{syscall.ENOSPC, syscall.EIO} {
		t.Run(failure.Error(), func(t *testing.T) {
			t.Parallel()
			var d disk
			dir := t.TempDir()
			q := open(t, dir, discard, boltqueue.WithFailures(whole, d.failure))
			first := sale(t, "first", 100)
			put(t, q, first)
			d.fail(failure)
			if err := q.Put(t.Context(), sale(t, 1, 100), sale(t, 2, 100)); !errors.Is(err, failure) {
				t.Errorf("Put whose commit was not confirmed: %v, want %v", err, failure)
			}
			d.fail(nil)
			if err := q.Put(t.Context(), sale(t, 3, 100)); !errors.Is(err, failure) {
				t.Errorf("the next Put: %v, want the error that put the queue out of use", err)
			}
			closeQueue(t, q)
			q = open(t, dir)
			put(t, q, sale(t, 4, 100))
			if got := deliver(t, q, nil); len(got) != 4 {
				t.Errorf("delivered %v after a restart, want 4 events", got)
			}
		})
	}
}

// TestHeldAfterFailure: when a write failed and only events that are held are left to write, deliveries go on.
func TestHeldAfterFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d disk
		held := heldError(t)
		q := open(t, t.TempDir(), discard, boltqueue.WithFailures(d.failure, whole))
		const n = 100 // more than are held in memory
		ms := make([]fprom.Message, n)
		for i := range ms {
			ms[i] = sale(t, i, 100)
		}
		put(t, q, ms...)
		workersOf.Store(q, n)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go func() {
			if q.Flush(ctx) == nil {
				cancel()
			}
		}()
		var began atomic.Int64
		d.fail(syscall.ENOSPC)
		err := run(ctx, q, func(context.Context, fprom.Message) error {
			time.Sleep(time.Millisecond)
			if began.Add(1) <= n {
				return held
			}
			d.fail(nil) // some that were held in memory are not any more: there is room for those that could not be written
			return nil
		})
		if s := stats(t, q); err != nil || s.Pending != 0 {
			t.Errorf("Run: %v; %+v after an hour, want nothing pending", err, s)
		}
	})
}

// TestReserve: on a disk without any space left, what the outbox has is delivered all the same, and puts do not take what
// that needs.
func TestReserve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := func() error { // as long as the reserve has the last of the space
		if _, err := os.Stat(filepath.Join(dir, "fprom.db.reserve")); err == nil {
			return syscall.ENOSPC
		}
		return nil
	}
	var d disk
	q := open(t, dir, discard, boltqueue.WithFailures(func() error {
		if d.failure() != nil {
			return full()
		}
		return nil
	}, whole))
	for i := range 20 {
		put(t, q, sale(t, i, 100))
	}
	d.fail(syscall.ENOSPC)
	if err := q.Put(t.Context(), sale(t, "late", 100)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put on a full disk: %v", err)
	}
	if got := deliver(t, q, nil); len(got) != 20 {
		t.Errorf("delivered %d events from a full disk, want 20", len(got))
	}
	if err := q.Put(t.Context(), sale(t, "late", 100)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put into what the reserve has set free: %v", err)
	}
	d.fail(nil)
	closeQueue(t, q)
	q = open(t, dir) // there is space again
	put(t, q, sale(t, "late", 100))
	if got := deliver(t, q, nil); len(got) != 1 {
		t.Errorf("delivered %d events with space again, want 1", len(got))
	}
	onlyOutbox(t, dir)
}

// disk is one whose commits can fail.
type disk struct{ err atomic.Pointer[error] }

func (d *disk) fail(err error) { d.err.Store(&err) }

func (d *disk) failure() error {
	if err := d.err.Load(); err != nil {
		return *err
	}
	return nil
}

func whole() error { return nil }

var discard = boltqueue.WithLogger(slog.New(slog.DiscardHandler))

// heldError is what a Tracker says of an event that spent no attempt.
func heldError(t *testing.T) error {
	t.Helper()
	fake := fpromtest.NewServer(t, fpromtest.InMemory())
	fake.Inject(fpromtest.Status(http.StatusTooManyRequests).RetryAfter("1"))
	q := answers{Queue: fprom.NewMemoryQueue(1), err: make(chan error, 1)}
	cfg := fake.Config()
	cfg.Queue, cfg.Logger = q, slog.New(slog.DiscardHandler)
	tracker, err := fprom.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	defer func() { _ = tracker.Shutdown(ended) }()
	if err := tracker.Enqueue(t.Context(), fprom.Sale{EventID: "held", UID: "ann", Amount: 1}); err != nil {
		t.Fatal(err)
	}
	if err = <-q.err; !fprom.IsHeld(err) {
		t.Fatalf("a Tracker says %v of a 429, which is not held", err)
	}
	return err
}

// answers is a queue that tells the first error of a delivery.
type answers struct {
	fprom.Queue
	err chan error
}

func (q answers) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	return q.Queue.Run(ctx, workers, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
		r, err := deliver(ctx, m)
		select {
		case q.err <- err:
		default:
		}
		return r, err
	})
}

// TestTooLarge: a message that the file could not hold is refused, and one that it can makes no trouble.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir)
	m := sale(t, 1, 100)
	m.Body = append(m.Body[:len(m.Body)-1], `,"plan":"`+strings.Repeat("x", 1<<20-1000)+`"}`...)
	put(t, q, m)
	large := sale(t, 2, 100)
	large.Body = append(large.Body[:len(large.Body)-1], `,"plan":"`+strings.Repeat("x", 1<<20)+`"}`...)
	if err := q.Put(t.Context(), large); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("Put of a message of more than 1 MiB: %v, want an error", err)
	}
	closeQueue(t, q)
	if got := deliver(t, open(t, dir), nil); len(got) != 1 || string(got[0].Body) != string(m.Body) {
		t.Errorf("%d messages were delivered, want the large one", len(got))
	}
}
