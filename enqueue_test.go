package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// Several events are one Put: all or none.
func TestEnqueueOfSeveral(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		q := newRecorder()
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		if err := tracker.Enqueue(t.Context(), sale("a"), refund("a"), sale("b"), sale("a")); err != nil || q.puts != 1 {
			t.Errorf("%v, %d puts, want 1", err, q.puts)
		}
		flush(t, tracker, time.Minute)
		if n := len(f.seen()); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
		bad := sale("c")
		bad.Amount = 0
		if err := tracker.Enqueue(t.Context(), sale("d"), bad); err == nil || q.puts != 1 {
			t.Errorf("with a bad event: %v, %d puts", err, q.puts)
		}
		if err := tracker.Enqueue(t.Context()); err != nil {
			t.Errorf("of nothing: %v", err)
		}
	})
}

// A conflict names its key, and the other events of the call are stored.
func TestEnqueueWithAConflict(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		tracker := start(t, config(f))
		enqueue(t, tracker, sale("a"))
		other := sale("a")
		other.Amount++
		err := tracker.Enqueue(t.Context(), sale("b"), other, sale("c"))
		var conflict *fprom.ConflictError
		if !errors.As(err, &conflict) || !slices.Equal(conflict.Keys, []string{"sale:a"}) {
			t.Errorf("Enqueue: %v", err)
		}
		flush(t, tracker, time.Minute)
		if f.count("b") != 1 || f.count("c") != 1 || f.count("a") != 1 {
			t.Errorf("%d calls", len(f.seen()))
		}
	})
}

// What the queue refuses as a conflict is not taken for stored, whether the error names it or not.
func TestConflictOfTheQueue(t *testing.T) {
	for name, conflict := range map[string]error{
		"named": &fprom.ConflictError{Keys: []string{"sale:a"}}, "not named": fmt.Errorf("put: %w", fprom.ErrConflict),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := newRecorder()
				q.onPut = func([]fprom.Message, func() error) error { return conflict }
				cfg := config(always(ok()))
				cfg.Queue = q
				tracker := start(t, cfg)
				for range 2 {
					if err := tracker.Enqueue(t.Context(), sale("a")); !errors.Is(err, fprom.ErrConflict) {
						t.Errorf("Enqueue: %v", err)
					}
				}
				if s := tracker.Stats(); s.Enqueued != 0 || s.Conflicts != 2 || s.PutError != "" || q.puts != 2 {
					t.Errorf("%d puts, %+v", q.puts, s)
				}
			})
		})
	}
}

// The second that the queue may take is for all events together.
func TestEnqueueOfSeveralIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := config(always(ok()))
		cfg.Queue = hanging{newRecorder()}
		tracker := start(t, cfg)
		begin := time.Now()
		err := tracker.Enqueue(t.Context(), sale("a"), sale("b"), sale("c"), sale("d"))
		if d := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || d != time.Second {
			t.Errorf("Enqueue: %v after %v", err, d)
		}
	})
}

// Two calls with the same events in another order do not wait for each other.
func TestEnqueueOfTheSameInAnotherOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newRecorder()
		q.onPut = func(_ []fprom.Message, put func() error) error {
			time.Sleep(100 * time.Millisecond)
			return put()
		}
		cfg := config(always(ok()))
		cfg.Queue = q
		tracker := start(t, cfg)
		errs := make(chan error, 2)
		begin := time.Now()
		go func() { errs <- tracker.Enqueue(t.Context(), sale("a"), sale("b")) }()
		go func() { errs <- tracker.Enqueue(t.Context(), sale("b"), sale("a")) }()
		if err := errors.Join(<-errs, <-errs); err != nil || time.Since(begin) > 200*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// An error that wraps ErrConflict says that the other events are stored. If the queue has not stored them, the error is its own.
func TestConflictBesideAPutThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		full := errors.New("disk full")
		q := newRecorder()
		cfg := config(always(ok()))
		cfg.Queue = q
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("a"))
		flush(t, tracker, time.Minute)
		q.onPut = func([]fprom.Message, func() error) error { return full }
		other := sale("a")
		other.Amount++
		if err := tracker.Enqueue(t.Context(), other, sale("b")); !errors.Is(err, full) || errors.Is(err, fprom.ErrConflict) {
			t.Errorf("Enqueue: %v", err)
		}
	})
}

// Record says that an id is used with another amount, where this process knows it. It is logged and counted as Enqueue's is:
// the handler may ignore the error.
func TestRecordOfAConflict(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen steps
		cfg := config(always(ok()))
		cfg.Observer = seen.observe
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("a"))
		other := sale("a")
		other.Amount++
		x := fprom.NewHook(tracker).Wrap(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody))
		defer x.Close()
		if err := fprom.Record(x.Request().Context(), other); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("Record: %v", err)
		}
		if err := fprom.Record(x.Request().Context(), sale("a")); err != nil {
			t.Errorf("Record of the same: %v", err)
		}
		fresh, more := sale("b"), sale("b")
		more.Amount++
		if err := fprom.Record(x.Request().Context(), fresh, more); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("Record of one id with two amounts: %v", err)
		}
		if err := fprom.Record(x.Request().Context(), fresh); err != nil {
			t.Errorf("Record: %v", err)
		}
		if err := fprom.Record(x.Request().Context(), more); !errors.Is(err, fprom.ErrConflict) {
			t.Errorf("Record of what the request has recorded with another amount: %v", err)
		}
		if got := seen.of(fprom.StageConflict); len(got) != 3 || tracker.Stats().Conflicts != 3 {
			t.Errorf("conflicts reported: %v", got)
		}
	})
}

// A customer can cancel, subscribe and cancel again within a day.
func TestTwoCancellations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		tracker := start(t, config(f))
		for range 2 {
			enqueue(t, tracker, fprom.Cancellation{Email: "ann@example.com"})
			flush(t, tracker, time.Minute)
			time.Sleep(time.Hour)
		}
		if n := len(f.seen()); n != 2 {
			t.Errorf("%d calls for two cancellations", n)
		}
	})
}

// New refuses a queue that is in use or closed, and says when there are no credentials at all.
func TestNewRefuses(t *testing.T) { // not parallel: the environment may have credentials
	t.Setenv("FIRSTPROMOTER_API_KEY", "")
	t.Setenv("FIRSTPROMOTER_ACCOUNT_ID", "")
	q := fprom.NewMemoryQueue(0)
	cfg := config(always(ok()))
	cfg.Queue = q
	tracker := start(t, cfg)
	if _, err := fprom.New(cfg); !errors.Is(err, fprom.ErrQueueInUse) {
		t.Errorf("a queue in use: %v", err)
	}
	if err := tracker.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := fprom.New(cfg); !errors.Is(err, fprom.ErrQueueClosed) {
		t.Errorf("a closed queue: %v", err)
	}
	var invalid *fprom.ValidationError
	if _, err := fprom.New(fprom.Config{}); !errors.Is(err, fprom.ErrNoCredentials) || !errors.As(err, &invalid) {
		t.Errorf("no credentials: %v", err)
	}
	if _, err := fprom.New(fprom.Config{AccountID: "1"}); errors.Is(err, fprom.ErrNoCredentials) || !errors.As(err, &invalid) {
		t.Errorf("half of the credentials: %v", err)
	}
}
