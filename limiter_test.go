package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/fprom-go/fprom"
)

// shared is a Queue that shares the account with other processes.
type shared struct {
	*recorder
	mu      sync.Mutex
	admits  int
	onAdmit func(context.Context) // before it answers
	refuse  error
	pauses  []time.Duration
	workers int
}

func (q *shared) Admit(ctx context.Context, _ int) error {
	if q.onAdmit != nil {
		q.onAdmit(ctx)
	}
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

// told returns how often Admit was asked, and the number of workers of the last Run.
func (q *shared) told() (admits, workers int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.admits, q.workers
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
		admits, workers := q.told()
		if s := tracker.Stats(); len(f.seen()) != 0 || s.Attempts+s.Retries != 0 || s.Breaker != "closed" || admits < 5 || admits > 1000 || workers != 3 {
			t.Errorf("%d calls, %d times asked, %d workers, %+v", len(f.seen()), admits, workers, s)
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

// A pause ends the wait for the shared limit: the event takes no token and waits for the end of the pause, even if the queue
// has given leave at that moment.
func TestAPauseDuringAdmit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 429, header: header("Retry-After", "30"), after: time.Second}, ok())
		q := &shared{recorder: newRecorder()}
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		begin := time.Now()
		enqueue(t, tracker, sale("a"))
		settle()
		q.onAdmit = func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
			}
		}
		if r, err := tracker.Track(t.Context(), sale("b")); err != nil || r.Outcome != fprom.Tracked {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
		for _, c := range f.seen()[1:] {
			if at := c.at.Sub(begin); at < 31*time.Second {
				t.Errorf("a call after %v, in the pause", at)
			}
		}
		if admits, _ := q.told(); admits > 4 {
			t.Errorf("asked %d times", admits)
		}
	})
}

// A Tracker that lives for months keeps nothing of attempts that have ended.
func TestTrackKeepsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := config(always(ok()))
		cfg.Queue = &shared{recorder: newRecorder()}
		tracker := start(t, cfg)
		type key struct{}
		var values []weak.Pointer[[1024]byte]
		for i := range 100 {
			value := new([1024]byte)
			values = append(values, weak.Make(value))
			if _, err := tracker.Track(context.WithValue(t.Context(), key{}, value), sale(strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute) // the runtime keeps stopped timers until they would have been due
		synctest.Wait()
		runtime.GC()
		kept := 0
		for _, v := range values {
			if v.Value() != nil {
				kept++
			}
		}
		if kept > 1 { // the last one may be in a register
			t.Errorf("%d of %d contexts are kept", kept, len(values))
		}
	})
}

// A pause is told to the other processes: once, and for how long. After suspected answers each process finds out on its own.
func TestPauseIsTold(t *testing.T) {
	refused := reply{status: 401, after: time.Second}
	suspected := reply{status: 403, after: time.Second}
	for name, test := range map[string]struct {
		answers []reply
		events  []fprom.Event
		want    []time.Duration
	}{
		"the account's fault": {[]reply{
			{status: 429, header: header("Retry-After", "20"), after: time.Second},
			{status: 429, header: header("Retry-After", "30"), after: 2 * time.Second},
			refused, refused, refused, ok(),
		}, []fprom.Event{sale("a"), sale("b")}, []time.Duration{20 * time.Second, time.Second, 2 * time.Second, 4 * time.Second}},
		"suspected": {[]reply{suspected, suspected, suspected, ok()}, []fprom.Event{sale("a"), sale("b"), sale("c")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := script(test.answers...)
				q := &shared{recorder: newRecorder()}
				var seen steps
				cfg := config(f)
				var log bytes.Buffer
				cfg.Queue, cfg.Observer, cfg.Logger = q, seen.observe, slog.New(slog.NewTextHandler(&log, nil))
				tracker := start(t, cfg)
				enqueue(t, tracker, test.events...)
				flush(t, tracker, time.Hour)
				if strings.Contains(log.String(), "cannot tell") {
					t.Errorf("logged:\n%s", log.String())
				}
				if !slices.Equal(q.pauses, test.want) || len(seen.of(fprom.StagePaused)) == 0 {
					t.Errorf("told of pauses of %v, want %v; steps of a pause: %d", q.pauses, test.want, len(seen.of(fprom.StagePaused)))
				}
			})
		})
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
