package boltqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
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

// TestPanicOfCommit: an outbox whose commit meets a damaged page is out of use, and the next process can open the file once it is
// closed.
func TestPanicOfCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log bytes.Buffer
	q := open(t, dir, boltqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), boltqueue.WithFailures(func() error { panic("page 7: multiple references") }, whole))
	for range 2 {
		if err := q.Put(t.Context(), sale(t, 1, 100)); !errors.Is(err, boltqueue.ErrDamaged) || !strings.Contains(err.Error(), "page 7") {
			t.Errorf("Put: %v, want what is damaged", err)
		}
	}
	closeQueue(t, q)
	if strings.Count(log.String(), "out of use until it is opened again") != 1 {
		t.Errorf("logged %q; want once that it is out of use", log.String())
	}
	put(t, open(t, dir), sale(t, 1, 100))
}

// TestFullForAWhile: while the disk takes nothing, puts fail, and of what waits no more is sent than there are workers.
// Then all goes on by itself.
func TestFullForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d disk
		var log bytes.Buffer
		dir := t.TempDir()
		q := open(t, dir, boltqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), boltqueue.WithFailures(d.failure, whole))
		ms := make([]fprom.Message, 20)
		for i := range ms {
			ms[i] = sale(t, i, 100)
		}
		put(t, q, ms...)
		d.fail(syscall.ENOSPC)
		if err := q.Put(t.Context(), sale(t, "late", 100)); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Errorf("Put on a full disk: %v", err)
		}
		var sent atomic.Int64
		workersOf.Store(q, 4)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() {
			ran <- run(ctx, q, func(context.Context, fprom.Message) error {
				sent.Add(1)
				return nil
			})
		}()
		time.Sleep(time.Hour)
		s := stats(t, q)
		if n := sent.Load(); n != 4 || s.Pending != 20 {
			t.Errorf("%d events were sent while no outcome could be written, want 4", n)
		}
		if s.Delivering || !strings.Contains(s.PauseReason, syscall.ENOSPC.Error()) {
			t.Errorf("Stats %+v, which do not say that nothing is delivered, and why", s)
		}
		d.fail(nil)
		put(t, q, sale(t, "late", 100))
		if err := q.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if n, s := sent.Load(), stats(t, q); n != 21 || !s.Delivering || s.PauseReason != "" {
			t.Errorf("%d deliveries, want 21; Stats %+v", n, s)
		}
		d.fail(syscall.ENOSPC)
		d.fail(nil)
		put(t, q, sale(t, "last", 100))
		synctest.Wait()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "outcomes could not be written"); n < 59 || n > 61 {
			t.Errorf("the log says %d times in an hour that outcomes could not be written, want once a minute", n)
		}
	})
}

// TestDiskHangs: while a commit does not end, callers give up in time, and what they gave up is not stored later.
func TestDiskHangs(t *testing.T) {
	t.Parallel()
	disk := make(chan struct{})
	q := open(t, t.TempDir(), boltqueue.WithFailures(func() error { <-disk; return nil }, whole))
	for i := range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := q.Put(ctx, sale(t, i, 100)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Put while the disk hangs: %v", err)
		}
		cancel()
	}
	close(disk)
	put(t, q, sale(t, "new", 100))
	if got := deliver(t, q, nil); len(got) > 2 || !slices.ContainsFunc(got, func(m fprom.Message) bool { return m.Key == "sale:new" }) {
		t.Errorf("delivered %v, want the last, and perhaps the first, whose commit had begun", got)
	}
}

// TestForgetWhileDiskHangs: what changes nothing does not wait for a commit, so no commit waits until it has read the outbox.
func TestForgetWhileDiskHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir)
	put(t, q, sale(t, 0, 100))
	closeQueue(t, q)
	synctest.Test(t, func(t *testing.T) {
		disk := make(chan struct{})
		q := open(t, dir, boltqueue.WithFailures(func() error { <-disk; return nil }, whole))
		go func() { _ = q.Put(t.Context(), sale(t, 1, 100)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if n, err := q.Forget(ctx, "nobody@example.com"); n != 0 || err != nil {
			t.Errorf("Forget of a customer of no event: %d, %v", n, err)
		}
		close(disk)
	})
}

// TestForgetMeetsOutcome: an event that has its outcome while Forget waits for its commit stays done.
func TestForgetMeetsOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := make(chan struct{}, 1)
		disk <- struct{}{}
		q := open(t, t.TempDir(), boltqueue.WithFailures(func() error { <-disk; return nil }, whole))
		m := sale(t, 0, 100)
		put(t, q, m)
		var calls sync.WaitGroup
		for _, call := range []func(){
			func() { put(t, q, sale(t, 1, 100)) },
			func() { deliver(t, q, nil) },
			func() {
				if n, err := q.Forget(t.Context(), m.Customer); n != 0 || err != nil {
					t.Errorf("Forget: %d, %v", n, err)
				}
			},
		} {
			calls.Go(call)
			synctest.Wait() // all but the first wait for the next commit
		}
		close(disk)
		calls.Wait()
		if s, dead := stats(t, q), letters(t, q); s.Ledger == 0 || s.Dead != 0 || len(dead) != 0 {
			t.Errorf("%+v, dead letters %+v; want the event done", s, dead)
		}
	})
}

// TestCloseWhileDiskHangs: Close gives up a disk that does not answer, so that the service can end.
func TestCloseWhileDiskHangs(t *testing.T) {
	t.Parallel()
	disk := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	hang := func() error { cancel(); <-disk; return nil }
	q, err := openAt(filepath.Join(t.TempDir(), "fprom.db"), boltqueue.WithoutSocket(), boltqueue.WithFailures(hang, whole))
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Put(ctx, sale(t, 1, 100)); !errors.Is(err, context.Canceled) {
		t.Errorf("Put while the disk hangs: %v", err)
	}
	closed := make(chan error, 1)
	go func() { closed <- q.Close() }()
	select {
	case err := <-closed:
		if err == nil {
			t.Error("Close says nothing")
		}
	case <-time.After(time.Minute):
		t.Error("Close waits for a disk that does not answer")
	}
	close(disk)
}

// TestUnconfirmedAtClose: a Put whose commit fails while Close waits for it says what is wrong with the disk.
func TestUnconfirmedAtClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		holding, release := make(chan struct{}), make(chan struct{})
		q := open(t, t.TempDir(), boltqueue.WithFailures(whole, func() error {
			close(holding)
			<-release
			return syscall.EIO
		}))
		stored, closed := make(chan error, 1), make(chan error, 1)
		go func() { stored <- q.Put(t.Context(), sale(t, 1, 100)) }()
		<-holding
		go func() { closed <- q.Close() }()
		for _, err := q.Stats(t.Context()); err == nil; _, err = q.Stats(t.Context()) {
			time.Sleep(time.Millisecond)
		}
		close(release)
		if err := <-stored; !errors.Is(err, syscall.EIO) {
			t.Errorf("Put: %v, want the disk's error", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestCloseWhileSocketHangs: the end of the socket looks for the file, and removes one beside it. Close gives that up, too.
func TestCloseWhileSocketHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := make(chan struct{})
		q, err := openAt(filepath.Join(dir, "fprom.db"), boltqueue.WithSocketEnd(func() { <-disk }))
		if err != nil {
			t.Fatal(err)
		}
		defer close(disk)
		if begun := time.Now(); q.Close() == nil || time.Since(begun) > 10*time.Second {
			t.Errorf("Close took %v, and says nothing", time.Since(begun))
		}
	})
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

// TestTooLarge: a message that the file could not hold is refused, and one that it can makes no trouble.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir)
	m, large := sale(t, 1, 100), sale(t, 2, 100)
	room := 1<<20 - len(m.Key) - len(m.Customer)
	m.Body, large.Body = []byte(strings.Repeat("1", room)), []byte(strings.Repeat("1", room+1))
	put(t, q, m)
	if err := q.Put(t.Context(), large); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("Put of a message of more than 1 MiB: %v, want an error", err)
	}
	other := sale(t, 3, 100)
	other.Key = strings.Repeat("x", 1<<10)
	put(t, q, other)
	for _, key := range []string{"", other.Key + "x"} {
		other.Key = key
		if err := q.Put(t.Context(), other); err == nil || !strings.Contains(err.Error(), "key") {
			t.Errorf("Put with a key of %d bytes: %v, want an error", len(key), err)
		}
	}
	closeQueue(t, q)
	if got := deliver(t, open(t, dir), nil); len(got) != 2 || !slices.ContainsFunc(got, func(d fprom.Message) bool { return string(d.Body) == string(m.Body) }) {
		t.Errorf("%d messages were delivered, want the large one, and that with the long key", len(got))
	}
}

// TestReserve: on a full disk puts do not take what the outcomes of what waits need, and what the outbox has is delivered.
func TestReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d disk
		q := open(t, t.TempDir(), boltqueue.WithAllocate(d.failure))
		waiting := 0
		fill := func(n int) (err error) {
			for end := waiting + n; waiting < end && err == nil; {
				if err = q.Put(t.Context(), sale(t, waiting, 100)); err == nil {
					waiting++
				}
			}
			return err
		}
		if err := fill(1); err != nil {
			t.Fatal(err)
		}
		large := make([]fprom.Message, 200)
		for i := range large {
			large[i] = sale(t, fmt.Sprint("large", i), 100)
			large[i].Body = append(large[i].Body[:len(large[i].Body)-1], `,"plan":"`+strings.Repeat("x", 10_000)+`"}`...)
		}
		for _, full := range []error{syscall.EDQUOT, syscall.EFBIG, syscall.ENOSPC} {
			d.fail(full)
			if err := q.Put(t.Context(), large...); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%v for a Put that is larger than the reserve: %v, want ENOSPC", full, err)
			}
		}
		if err := fill(2000); !errors.Is(err, syscall.ENOSPC) || waiting < 100 {
			t.Errorf("a full disk after %d puts: %v", waiting, err)
		}
		if got := deliver(t, q, nil); len(got) != waiting {
			t.Errorf("delivered %d events from a full disk, want %d", len(got), waiting)
		}
		d.fail(nil)
		time.Sleep(time.Second)
		put(t, q, large...)
		if got := deliver(t, q, nil); len(got) != len(large) {
			t.Errorf("delivered %d events with space again, want %d", len(got), len(large))
		}
		d.fail(syscall.ENOSPC)
		if err := fill(2000); err != nil {
			t.Errorf("a full disk, and a file with many free pages: %v", err)
		}
		d.fail(errors.ErrUnsupported)
		if err := fill(1000); err != nil {
			t.Errorf("where nothing can be reserved: %v", err)
		}
	})
}
