package boltqueue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// open opens dir/fprom.db without a socket, and closes it at the end of the test.
func open(t *testing.T, dir string, opts ...boltqueue.Option) *boltqueue.Queue {
	t.Helper()
	return openServed(t, dir, append(opts, boltqueue.WithoutSocket())...)
}

// openAt is boltqueue.Open while no process begins: until it runs its program, it has the open files of this one, and the lock with
// which Open checks the file.
func openAt(path string, opts ...boltqueue.Option) (*boltqueue.Queue, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return boltqueue.Open(path, opts...)
}

// openServed opens dir/fprom.db, and closes it at the end of the test.
func openServed(t *testing.T, dir string, opts ...boltqueue.Option) *boltqueue.Queue {
	t.Helper()
	q, err := openAt(filepath.Join(dir, "fprom.db"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeQueue(t, q) })
	return q
}

func closeQueue(t *testing.T, q *boltqueue.Queue) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func message(tb testing.TB, e fprom.Event) fprom.Message {
	tb.Helper()
	m, err := fprom.NewMessage(e)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func sale(tb testing.TB, id any, amount int64) fprom.Message {
	tb.Helper()
	return message(tb, fprom.Sale{EventID: fmt.Sprint(id), Email: fmt.Sprintf("c%v@example.com", id), Amount: amount, Currency: "usd"})
}

func put(tb testing.TB, q *boltqueue.Queue, ms ...fprom.Message) {
	tb.Helper()
	if err := q.Put(tb.Context(), ms...); err != nil {
		tb.Fatalf("Put: %v", err)
	}
}

// deliver runs q until everything stored has an outcome, or for five minutes, and returns what was delivered. answer may be nil.
func deliver(tb testing.TB, q *boltqueue.Queue, answer func(fprom.Message) error) []fprom.Message {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	defer cancel()
	go func() {
		_ = q.Flush(ctx)
		cancel()
	}()
	var mu sync.Mutex
	var got []fprom.Message
	err := run(ctx, q, func(_ context.Context, m fprom.Message) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m)
		if answer == nil {
			return nil
		}
		return answer(m)
	})
	if err != nil {
		tb.Errorf("Run: %v", err)
	}
	return got
}

// figures opens the file at path to look at it.
func figures(path string) (fprom.QueueStats, error) {
	q, err := openAt(path, boltqueue.WithoutCreate(), boltqueue.WithoutRun(), boltqueue.WithoutSocket())
	if err != nil {
		return fprom.QueueStats{}, err
	}
	s, err := q.Stats(context.Background())
	return s, errors.Join(err, q.Close())
}

func stats(tb testing.TB, q *boltqueue.Queue) fprom.QueueStats {
	tb.Helper()
	s, err := q.Stats(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
