package boltqueue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
)

// TestClockWasWrong: what was written under a clock that was many years ahead is delivered after a restart. A success of the future is
// not the last one: an alarm that nothing was delivered for an hour would not come for years.
func TestClockWasWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	q := open(t, dir)
	late, follows, done := sale(t, "late", 100), sale(t, "follows", 100), sale(t, "done", 100)
	follows.Customer = late.Customer
	put(t, q, late, follows, done)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for stats(t, q).Ledger == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	err := run(ctx, q, func(_ context.Context, m fprom.Message) error {
		if m.Key == done.Key {
			return nil
		}
		return &fprom.APIError{StatusCode: 429, RetryAfter: 10 * time.Minute}
	})
	if err != nil {
		t.Fatal(err)
	}
	closeQueue(t, q)
	synctest.Test(t, func(t *testing.T) { // it is the year 2000 there
		q := open(t, dir)
		if s := stats(t, q); !s.LastSuccess.IsZero() {
			t.Errorf("the last success is that of the future: %v", s.LastSuccess)
		}
		if got := deliver(t, q, nil); len(got) != 2 || got[0].Key != late.Key || got[1].Key != follows.Key {
			t.Errorf("delivered %v, want the two that are late", got)
		}
	})
}

// TestClockStepsBack: a retry does not wait until the clock is where it was, if it steps back by a day while the service restarts.
func TestClockStepsBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(23 * time.Hour)
		q := open(t, dir)
		put(t, q, sale(t, 1, 100))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := run(ctx, q, func(context.Context, fprom.Message) error {
			return &fprom.APIError{StatusCode: 429, RetryAfter: 10 * time.Minute}
		})
		if err != nil {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // the first minute of the same day
		if got := deliver(t, open(t, dir), nil); len(got) != 1 {
			t.Errorf("delivered %v within five minutes, want the event", got)
		}
	})
}

// TestClockWasAhead: an event that was recorded while the clock was a week ahead is found by the time it was recorded at.
func TestClockWasAhead(t *testing.T) {
	t.Parallel()
	q := open(t, t.TempDir())
	ahead := sale(t, "ahead", 100)
	ahead.RecordedAt = ahead.RecordedAt.AddDate(0, 0, 7)
	put(t, q, ahead, sale(t, 1, 100))
	deliver(t, q, nil)
	if es := entries(t, q, fprom.Filter{Since: ahead.RecordedAt}); len(es) != 1 || es[0].Key != ahead.Key {
		t.Errorf("since a week ahead: %+v, want the event of that time", es)
	}
}
