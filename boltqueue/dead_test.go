package boltqueue_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

var errRejected = &fprom.APIError{StatusCode: 400, Code: "invalid", Message: "Error. Amount blank or invalid."}

func reject(fprom.Message) error { return fmt.Errorf("deliver: %w", errRejected) }

func letters(t *testing.T, q *boltqueue.Queue) []boltqueue.DeadLetter {
	t.Helper()
	var ds []boltqueue.DeadLetter
	for d, err := range q.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, d)
	}
	return ds
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir)
	m := sale(t, 1, 100)
	put(t, q, m)
	deliver(t, q, reject)
	closeQueue(t, q)

	q = open(t, dir)
	ds := letters(t, q)
	if len(ds) != 1 {
		t.Fatalf("%d dead letters, want 1", len(ds))
	}
	d := ds[0]
	if d.Message.Key != m.Key || string(d.Message.Body) != string(m.Body) || d.Message.Attempt != 1 || d.StatusCode != http.StatusBadRequest ||
		d.Code != "invalid" || d.Answer != errRejected.Message || !strings.Contains(d.Reason, "deliver: 400") || d.At.IsZero() || d.Damaged {
		t.Errorf("dead letter %+v", d)
	}
	if n, err := q.Redrive(t.Context(), d.ID, 99); n != 1 || err != nil {
		t.Errorf("Redrive: %d, %v; want 1", n, err)
	}
	if s := stats(t, q); s.Dead != 0 || s.Pending != 1 {
		t.Errorf("after Redrive: %+v", s)
	}
	if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != m.Key || got[0].Attempt != 1 {
		t.Errorf("delivered %v, want the same event, attempt 1", got)
	}
	if n, err := q.Drop(t.Context(), d.ID); n != 0 || err != nil {
		t.Errorf("Drop of what is none: %d, %v", n, err)
	}
}

// TestCorrected: the event id of a dead letter is free.
func TestCorrected(t *testing.T) {
	t.Parallel()
	q := open(t, t.TempDir())
	put(t, q, sale(t, 1, 100), sale(t, 2, 100))
	deliver(t, q, reject)
	corrected := sale(t, 1, 250)
	put(t, q, corrected)
	if s := stats(t, q); s.Dead != 1 || s.Pending != 1 {
		t.Errorf("a corrected event replaces its dead letter: %+v, want 1 dead, 1 pending", s)
	}
	if got := deliver(t, q, nil); len(got) != 1 || string(got[0].Body) != string(corrected.Body) {
		t.Errorf("delivered %v, want the corrected event", got)
	}
	if ds := letters(t, q); len(ds) != 1 || ds[0].Message.Key != "sale:2" {
		t.Errorf("dead letters %+v, want sale 2", ds)
	}
}

func TestManyDeadLetters(t *testing.T) {
	t.Parallel()
	q := open(t, t.TempDir(), boltqueue.WithMemKeys(50))
	const n = 330
	ms := make([]fprom.Message, n)
	for i := range ms {
		ms[i] = sale(t, i, 100)
	}
	put(t, q, ms...)
	deliver(t, q, func(m fprom.Message) error {
		if m.Key == "sale:7" {
			return nil
		}
		return reject(m)
	})
	ds := letters(t, q)
	if len(ds) != n-1 {
		t.Fatalf("%d dead letters, want %d", len(ds), n-1)
	}
	for i, d := range ds[1:] {
		if d.ID <= ds[i].ID {
			t.Fatalf("%d comes after %d", d.ID, ds[i].ID)
		}
	}
	for range q.DeadLetters(t.Context()) {
		break
	}
	if got, err := q.RedriveAll(t.Context()); got != n-1 || err != nil {
		t.Errorf("RedriveAll: %d, %v; want %d", got, err, n-1)
	}
	if got := deliver(t, q, nil); len(got) != n-1 {
		t.Errorf("%d deliveries after RedriveAll, want %d", len(got), n-1)
	}
	if s := stats(t, q); s.Dead != 0 || s.Pending != 0 || s.Ledger != n {
		t.Errorf("%+v, want %d in the ledger", s, n)
	}
}

// TestRedriveAllOnce: what is rejected again at once is not redriven again and again.
func TestRedriveAllOnce(t *testing.T) {
	t.Parallel()
	q := open(t, t.TempDir())
	const n = 450
	ms := make([]fprom.Message, n)
	for i := range ms {
		ms[i] = sale(t, i, 100)
	}
	put(t, q, ms...)
	deliver(t, q, reject)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() {
		ran <- run(ctx, q, func(_ context.Context, m fprom.Message) error { return reject(m) })
	}()
	if got, err := q.RedriveAll(t.Context()); got != n || err != nil {
		t.Errorf("RedriveAll: %d, %v; want %d", got, err, n)
	}
	if err := q.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	seen := 0
	for d, err := range q.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if got, err := q.Redrive(t.Context(), d.ID); got != 1 || err != nil {
			t.Fatalf("Redrive: %d, %v", got, err)
		}
		if seen%100 == 0 {
			deliver(t, q, reject)
		}
	}
	if seen != n {
		t.Errorf("%d dead letters were seen, want %d", seen, n)
	}
}

// TestDropped: what was dropped can be put again, at any time, and leaves nothing in the file for ever.
func TestDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir(), boltqueue.WithRetention(40*time.Hour), boltqueue.WithMemKeys(2))
		again, dropped := sale(t, "again", 100), sale(t, "dropped", 100)
		put(t, q, again, dropped)
		deliver(t, q, reject)
		for _, d := range letters(t, q) {
			if n, err := q.Drop(t.Context(), d.ID); n != 1 || err != nil {
				t.Fatalf("Drop: %d, %v", n, err)
			}
		}
		put(t, q, again)
		if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != again.Key {
			t.Errorf("delivered %v, want what was put again", got)
		}
		for i := range 50 {
			time.Sleep(time.Hour)
			put(t, q, sale(t, i, 100))
			deliver(t, q, nil)
		}
		if n, err := q.DeadKeys(); n != 0 || err != nil {
			t.Errorf("%d keys are left of dropped events, %v", n, err)
		}
		put(t, q, dropped)
		if got := deliver(t, q, nil); len(got) != 1 || got[0].Key != dropped.Key {
			t.Errorf("delivered %v, want what was dropped long ago", got)
		}
	})
}
