package boltqueue_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

var errRejected = &fprom.APIError{StatusCode: 400, Code: "invalid", Message: "Error. Amount blank or invalid."}

func reject(fprom.Message) error { return fmt.Errorf("deliver: %w", errRejected) }

func entries(t *testing.T, q fprom.Outbox, f fprom.Filter) []fprom.Entry {
	t.Helper()
	var es []fprom.Entry
	for e, err := range q.Entries(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		es = append(es, e)
	}
	return es
}

func letters(t *testing.T, q fprom.Outbox) []fprom.Entry {
	t.Helper()
	return entries(t, q, fprom.Filter{State: fprom.StateDead})
}

// TestRedriveOnce: what is rejected again at once is not redriven again and again.
func TestRedriveOnce(t *testing.T) {
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
	if got, err := q.Redrive(t.Context(), fprom.Filter{}); got != n || err != nil {
		t.Errorf("Redrive: %d, %v; want %d", got, err, n)
	}
	if err := q.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if ds := letters(t, q); len(ds) != n || ds[0].Attempts != 1 {
		t.Errorf("%d dead letters after Redrive, want %d with one attempt", len(ds), n)
	}
}

// TestForgotten: when an id is forgotten nothing of it is left in the file, and dead letters stay.
func TestForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := open(t, t.TempDir(), boltqueue.WithRetention(40*time.Hour))
		bad := sale(t, "bad", 100)
		put(t, q, bad)
		deliver(t, q, reject)
		cancellation := message(t, fprom.Cancellation{Email: "c0@example.com"})
		put(t, q, sale(t, 1, 100), cancellation)
		deliver(t, q, nil)
		put(t, q, cancellation)
		deliver(t, q, nil)
		if err := q.Put(t.Context(), sale(t, 1, 999)); err == nil {
			t.Error("another amount is no conflict")
		}
		time.Sleep(39 * time.Hour)
		if s, es := stats(t, q), entries(t, q, fprom.Filter{}); s.Ledger != 1 || s.Conflicts != 1 || len(es) != 4 {
			t.Errorf("before it is too old: %+v, entries %+v", s, es)
		}
		time.Sleep(2 * time.Hour)
		put(t, q, sale(t, 2, 100))
		deliver(t, q, nil)
		if s, es := stats(t, q), entries(t, q, fprom.Filter{}); s.Ledger != 1 || s.Conflicts != 0 || len(es) != 2 || es[0].Key != bad.Key {
			t.Errorf("when it is too old: %+v, entries %+v", s, es)
		}
		if n, err := q.Keys(); n != 1+1+3 || err != nil { // that of meta; the dead letter; the new one, its key and its time
			t.Errorf("%d keys are left in the file, %v", n, err)
		}
		put(t, q, sale(t, 1, 999))
		if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
			t.Errorf("Redrive: %d, %v", n, err)
		}
		if got := deliver(t, q, nil); len(got) != 2 {
			t.Errorf("delivered %v, want what was forgotten and what was redriven", got)
		}
	})
}

// TestForgottenWaits: an event whose customer was forgotten while it waits is sent whole again after an attempt that failed. No
// such attempt, and no dead letter, is taken for a success at the next start. Drop forgets the conflicts, too.
func TestForgottenWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		q := open(t, dir)
		put(t, q, sale(t, 0, 100))
		deliver(t, q, nil)
		want := stats(t, q).LastSuccess
		time.Sleep(time.Hour)
		m := sale(t, 1, 100)
		put(t, q, m)
		if n, err := q.Forget(t.Context(), m.Customer); n != 0 || err != nil {
			t.Errorf("Forget: %d, %v", n, err)
		}
		if err := q.Put(t.Context(), sale(t, 1, 999)); err == nil {
			t.Error("another amount is no conflict")
		}
		tries := 0
		got := deliver(t, q, func(m fprom.Message) error {
			if tries++; tries == 1 {
				return &fprom.APIError{StatusCode: 503, RetryAfter: time.Second}
			}
			if e := entries(t, q, fprom.Filter{State: fprom.StateWaiting}); len(e) != 1 || e[0].Attempts != 1 || !e[0].NextAttempt.IsZero() {
				t.Errorf("%+v; want no next attempt while it is under way", e)
			}
			return reject(m)
		})
		if len(got) != 2 || got[1].Customer != m.Customer || string(got[1].Body) != string(m.Body) {
			t.Errorf("delivered %+v, want the event twice, and whole", got)
		}
		closeQueue(t, q)
		q = open(t, dir)
		if s := stats(t, q); !s.LastSuccess.Equal(want) || s.Dead != 1 || s.Conflicts != 1 {
			t.Errorf("%+v after a restart, want the last success at %v", s, want)
		}
		if n, err := q.Drop(t.Context(), fprom.Filter{}); n != 1 || err != nil || stats(t, q).Conflicts != 0 {
			t.Errorf("Drop: %d, %v, %+v; want none of its conflicts left", n, err, stats(t, q))
		}
	})
}
