package fprom_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// shared is a Queue that shares the account with other processes.
type shared struct {
	*recorder
	mu      sync.Mutex
	admits  int
	refuse  error
	pauses  []time.Duration
	workers int
}

func (q *shared) Admit(context.Context, int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.admits++
	return q.refuse
}

func (q *shared) Pause(ctx context.Context, d time.Duration, reason error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pauses = append(q.pauses, d)
	if reason == nil || ctx.Err() != nil {
		return errors.New("told without a reason, or with a context that has ended")
	}
	return nil
}

func (q *shared) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	q.mu.Lock()
	q.workers = workers
	q.mu.Unlock()
	return q.recorder.Run(ctx, workers, deliver)
}

func (q *shared) Stats(context.Context) (fprom.QueueStats, error) {
	return fprom.QueueStats{Pending: 7, Oldest: time.Now().Add(-time.Hour)}, errors.New("half the truth")
}

func (q *shared) refusing(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refuse = err
}

// Every attempt, also of Track, asks the queue for leave; without it nothing is sent, and no attempt is spent.
func TestAdmit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		q := &shared{recorder: newRecorder()}
		var seen steps
		cfg := config(f)
		cfg.Queue, cfg.Workers, cfg.Observer, cfg.Breaker.Failures = q, 3, seen.observe, 1
		tracker := start(t, cfg)
		q.refusing(errors.New("database is down"))
		enqueue(t, tracker, sale("a"))
		if r, err := tracker.Track(t.Context(), sale("b")); !errors.Is(err, q.refuse) || r.Outcome != fprom.Undelivered {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
		time.Sleep(10 * time.Second)
		if s := tracker.Stats(); len(f.seen()) != 0 || s.Attempts != 0 || s.Breaker != "closed" || q.admits < 5 || q.admits > 1000 || q.workers != 3 {
			t.Errorf("%d calls, %d times asked, %d workers, %+v", len(f.seen()), q.admits, q.workers, s)
		}
		q.refusing(nil)
		flush(t, tracker, 10*time.Second)
		if got := seen.of(fprom.StageDelivered); len(got) != 1 || got[0].Message.Attempt != 1 {
			t.Errorf("delivered %+v", got)
		}
		if s := tracker.Stats(); s.Queue.Pending != 7 || s.OldestAge != time.Hour {
			t.Errorf("stats %+v", s)
		}
	})
}

// A pause is told to the other processes: once, and for how long.
func TestPauseIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refused := reply{status: 401, after: time.Second}
		f := script(
			reply{status: 429, header: header("Retry-After", "20"), after: time.Second},
			reply{status: 429, header: header("Retry-After", "30"), after: 2 * time.Second}, refused, refused, refused, ok())
		q := &shared{recorder: newRecorder()}
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("a"), sale("b"))
		flush(t, tracker, time.Hour)
		if want := []time.Duration{20 * time.Second, time.Second, 2 * time.Second, 4 * time.Second}; !slices.Equal(q.pauses, want) {
			t.Errorf("told of pauses of %v, want %v", q.pauses, want)
		}
	})
}

// foreignQueue delivers a message that no Tracker made, as a store that another release wrote may.
type foreignQueue struct {
	m    fprom.Message
	said chan error
}

func (foreignQueue) Put(context.Context, ...fprom.Message) error { return nil }

func (q foreignQueue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	time.Sleep(time.Minute)
	_, err := deliver(ctx, q.m)
	q.said <- err
	<-ctx.Done()
	return nil
}

func TestMessageOfAnUnknownKind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 429, header: header("Retry-After", "59")})
		q := foreignQueue{fprom.Message{Key: "gift:1", Kind: "gift/../sale", Body: []byte(`{}`), Attempt: 1}, make(chan error, 1)}
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		_, _ = tracker.Track(t.Context(), sale("x"))
		if err := <-q.said; !fprom.IsPermanent(err) {
			t.Errorf("the queue is told %v", err)
		}
		s := tracker.Stats()
		if len(f.seen()) != 1 || s.Attempts != 1 {
			t.Errorf("%d calls, %d attempts, want 1", len(f.seen()), s.Attempts)
		}
		if s.PausedUntil.IsZero() {
			t.Error("a message that was not sent ended the pause")
		}
	})
}

// What the cache has forgotten the queue may still know.
func TestConflictThatTheQueueFinds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 500})
		cfg := config(f)
		cfg.Dedupe.TTL = time.Minute
		var seen steps
		cfg.Observer = seen.observe
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("x"))
		time.Sleep(time.Hour)
		other := sale("x")
		other.Amount++
		enqueue(t, tracker, sale("x"))
		conflicting(t, tracker, other, other)
		if got := seen.of(fprom.StageConflict); len(got) != 2 || !errors.Is(got[0].Err, fprom.ErrConflict) {
			t.Errorf("conflicts: %+v", got)
		}
		if s := tracker.Stats(); s.Queue.Pending != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestPutOfSeveral(t *testing.T) {
	t.Parallel()
	messages := func(ids ...string) (ms []fprom.Message) {
		for _, id := range ids {
			m, err := fprom.NewMessage(sale(id))
			if err != nil {
				t.Fatal(err)
			}
			ms = append(ms, m)
		}
		return ms
	}
	pending := func(q fprom.Queue) int {
		s, err := q.(interface {
			Stats(context.Context) (fprom.QueueStats, error)
		}).Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Pending
	}
	q := fprom.NewMemoryQueue(4)
	other := sale("a")
	other.Amount++
	conflict, err := fprom.NewMessage(other)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		ms      []fprom.Message
		err     error
		pending int
	}{
		{nil, nil, 0},
		{messages("a", "b", "a"), nil, 2},
		{messages("c", "d", "e"), fprom.ErrQueueFull, 2},
		{append(messages("c"), conflict), fprom.ErrConflict, 3},
		{append(messages("c"), conflict), fprom.ErrConflict, 3},
		{messages("a", "b", "c", "d", "a", "d"), nil, 4},
		{messages("a"), nil, 4},
		{messages("e"), fprom.ErrQueueFull, 4},
	} {
		if err := q.Put(t.Context(), step.ms...); !errors.Is(err, step.err) || pending(q) != step.pending {
			t.Errorf("Put %s: %v, %d pending; want %v, %d", strconv.Itoa(i), err, pending(q), step.err, step.pending)
		}
	}
}

// The other processes go on with a shared queue, so Shutdown does not wait for it.
func TestShutdownDoesNotDrainASharedQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &shared{recorder: newRecorder(), refuse: errors.New("not now")}
		cfg := config(always(ok()))
		cfg.Queue = q
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		enqueue(t, tracker, sale("a"))
		begin := time.Now()
		if err := tracker.Shutdown(t.Context()); err != nil || time.Since(begin) > time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(begin))
		}
	})
}

// Flush, Stats and Close implement fprom.Queue.
func (foreignQueue) Flush(context.Context) error { return nil }

func (foreignQueue) Stats(context.Context) (fprom.QueueStats, error) { return fprom.QueueStats{}, nil }

func (foreignQueue) Close() error { return nil }
