package boltqueue_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// open opens dir/fprom.db, and closes it at the end of the test.
func open(t *testing.T, dir string, opts ...boltqueue.Option) *boltqueue.Queue {
	t.Helper()
	q, err := boltqueue.Open(filepath.Join(dir, "fprom.db"), opts...)
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

func message(t testing.TB, e fprom.Event) fprom.Message {
	t.Helper()
	m, err := fprom.NewMessage(e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sale(t testing.TB, id any, amount int64) fprom.Message {
	t.Helper()
	return message(t, fprom.Sale{EventID: fmt.Sprint(id), Email: fmt.Sprintf("c%v@example.com", id), Amount: amount, Currency: "usd"})
}

func put(t testing.TB, q *boltqueue.Queue, ms ...fprom.Message) {
	t.Helper()
	if err := q.Put(t.Context(), ms...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// deliver runs q until everything stored has an outcome, or for a minute, and returns what was delivered. answer may be nil.
func deliver(t testing.TB, q *boltqueue.Queue, answer func(fprom.Message) error) []fprom.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		_ = q.Flush(ctx)
		cancel()
	}()
	var mu sync.Mutex
	var got []fprom.Message
	err := q.Run(ctx, func(_ context.Context, m fprom.Message) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m)
		if answer == nil {
			return nil
		}
		return answer(m)
	})
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	return got
}

func stats(t testing.TB, q *boltqueue.Queue) fprom.QueueStats {
	t.Helper()
	s, err := q.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}
