package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

func TestShutdownDrains(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 500}, reply{status: 429, header: header("Retry-After", "5")}, reply{status: 200, body: okBody, after: time.Second})
		var log bytes.Buffer
		cfg := config(f)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		tracker := start(t, cfg)
		for i := range 100 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if !strings.Contains(log.String(), "for the next start\" waiting=100") {
			t.Errorf("the log does not say what Shutdown waits for: %s", log.String())
		}
		if s := tracker.Stats(); s.Tracked != 100 || s.Queue.Pending != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Without a deadline Shutdown waits until all events are done. The log says so.
func TestLogOfShutdown(t *testing.T) {
	for name, test := range map[string]struct {
		deadline time.Duration // 0: none
		schedule []time.Duration
		took     time.Duration
	}{
		"deadline":                {time.Minute, nil, 0},
		"no deadline":             {0, nil, time.Hour},
		"no deadline, schedule":   {0, []time.Duration{time.Minute}, time.Minute},
		"no deadline, asked once": {0, []time.Duration{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var log bytes.Buffer
				cfg := config(always(unknownYet))
				cfg.Logger, cfg.Retry.NotFound = slog.New(slog.NewTextHandler(&log, nil)), test.schedule
				tracker := start(t, cfg)
				enqueue(t, tracker, referred())
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if test.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
				}
				defer cancel()
				begin := time.Now()
				_ = tracker.Shutdown(ctx)
				if d := time.Since(begin); test.deadline == 0 && !near(d, test.took) {
					t.Errorf("Shutdown took %v, want %v", d, test.took)
				}
				if !strings.Contains(log.String(), "due before the deadline of ctx (if it has none, all events)") {
					t.Errorf("the log does not say how long Shutdown takes: %s", log.String())
				}
			})
		})
	}
}

// What is left is handed back: the very events, oldest first.
func TestShutdownHandsBack(t *testing.T) {
	whole := fprom.Sale{
		EventID: "whole", Email: "Jane@Example.com", UID: "u", Amount: 1999, Currency: "usd", Quantity: 2, Plan: "p", MRR: 5, PromoCode: "c",
		TID: "t", RefID: "r", SkipEmailNotification: true,
	}
	events := []fprom.Event{
		whole, sale2("second"),
		fprom.Refund{EventID: "third", UID: "u", Amount: 5, Quantity: 2, SaleEventID: "whole"},
		fprom.Signup{Email: "a@b.c", TID: "t", IP: "::1", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)},
		fprom.Cancellation{UID: "v"},
		sale2("sixth"),
	}
	for name, r := range map[string]reply{
		"hangs": {hang: true}, "fails": {status: 500}, "is throttled": {status: 429}, "is refused": {status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tracker := start(t, config(always(r)))
				enqueue(t, tracker, events...)
				settle()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				begin := time.Now()
				err := tracker.Shutdown(ctx)
				var left *fprom.UndeliveredError
				if !errors.As(err, &left) || !reflect.DeepEqual(left.Events, events) {
					t.Errorf("Shutdown: %v\n%+v", err, left)
				}
				const text = "undelivered events: 6 (the first: sale:whole, sale:second, refund:third, signup:sha256-d648b243a3e817eaa3309e00e183483f, cancellation:v); store UndeliveredError.Events"
				if !strings.Contains(err.Error(), text) {
					t.Errorf("Shutdown: %v, want %s", err, text)
				}
				if d := time.Since(begin); d > 3*time.Second {
					t.Errorf("Shutdown took %v", d)
				}
				if again := tracker.Shutdown(t.Context()); again != err { //nolint:errorlint // the same one
					t.Errorf("the second Shutdown: %v", again)
				}
			})
		})
	}
}

// sale2 is a sale in wire form.
func sale2(id string) fprom.Sale {
	s := sale(id)
	s.Currency = "usd"
	return s
}

// No Shutdown waits in a pause of the account that outlasts its deadline.
func TestShutdownInAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 429, header: header("Retry-After", "60")}, reply{status: 429, header: header("Retry-After", "900")})
		tracker := start(t, config(f))
		enqueue(t, tracker, sale("first"))
		time.Sleep(10 * time.Millisecond) // only this one is sent before the pause
		for i := range 99 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(50 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		begin := time.Now()
		if err := tracker.Flush(ctx); !errors.Is(err, fprom.ErrNotDue) { // the next probe is due after 10 s
			t.Errorf("Flush: %v, want ErrNotDue", err)
		}
		if d := time.Since(begin); !near(d, 10*time.Second) {
			t.Errorf("Flush took %v, want 10 s", d)
		}
		begin = time.Now()
		err := tracker.Shutdown(ctx)
		var left *fprom.UndeliveredError
		if !errors.As(err, &left) || len(left.Events) != 100 {
			t.Errorf("Shutdown: %v", err)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("Shutdown took %v", d)
		}
	})
}

func TestClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		tracker := start(t, config(f))
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := tracker.Enqueue(t.Context(), sale("x")); !errors.Is(err, fprom.ErrClosed) {
			t.Errorf("Enqueue: %v", err)
		}
		if err := tracker.Enqueue(t.Context()); err != nil {
			t.Errorf("Enqueue of no event: %v", err)
		}
		if r, err := tracker.Track(t.Context(), sale("x")); !errors.Is(err, fprom.ErrClosed) || r.Outcome != fprom.Undelivered {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
		if err := tracker.Flush(t.Context()); !errors.Is(err, fprom.ErrQueueClosed) {
			t.Errorf("Flush: %v", err)
		}
		if n := len(f.seen()); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// An event whose Enqueue races with Shutdown is refused, delivered or handed back: one of the three.
func TestEnqueueRacesShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for round := range 20 {
			f := &fake{answer: func(n int, _ call) reply {
				if n > 50*round {
					return reply{hang: true}
				}
				return ok()
			}}
			tracker := start(t, config(f))
			var mu sync.Mutex
			accepted := map[string]bool{}
			var wg sync.WaitGroup
			begun := make(chan struct{})
			for w := range 8 {
				wg.Go(func() {
					for i := range 200 {
						id := strconv.Itoa(w) + "-" + strconv.Itoa(i)
						err := tracker.Enqueue(t.Context(), sale(id))
						if err != nil {
							if !errors.Is(err, fprom.ErrClosed) {
								t.Errorf("Enqueue: %v", err)
							}
							return
						}
						mu.Lock()
						if accepted[id] = true; len(accepted) == 60*round+1 {
							close(begun)
						}
						mu.Unlock()
					}
				})
			}
			<-begun
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := tracker.Shutdown(ctx)
			cancel()
			wg.Wait()
			var left *fprom.UndeliveredError
			if err != nil && !errors.As(err, &left) {
				t.Fatal(err)
			}
			found := map[string]bool{}
			for _, c := range f.seen() {
				e, err := fprom.Message{Kind: c.kind, Body: []byte(c.body)}.Event()
				if err != nil {
					t.Fatal(err)
				}
				found[e.(fprom.Sale).EventID] = true
			}
			if left != nil {
				for _, e := range left.Events {
					found[e.(fprom.Sale).EventID] = true
				}
			}
			for id := range accepted {
				if !found[id] {
					t.Errorf("%s was accepted and is nowhere", id)
				}
			}
		}
	})
}

// An event that is being stored when Shutdown begins is delivered, too. Not in a bubble: Shutdown waits for a lock.
func TestShutdownWaitsForThePutUnderWay(t *testing.T) {
	t.Parallel()
	storing, stored := make(chan struct{}), make(chan struct{})
	q := newRecorder()
	q.onPut = func(_ []fprom.Message, put func() error) error {
		close(storing)
		<-stored
		return put()
	}
	f := always(ok())
	cfg := config(f)
	cfg.Queue = q
	tracker := start(t, cfg)
	accepted, ended := make(chan error, 1), make(chan error, 1)
	go func() { accepted <- tracker.Enqueue(t.Context(), sale("ch_1")) }()
	<-storing
	go func() { ended <- tracker.Shutdown(t.Context()) }()
	select {
	case err := <-ended:
		t.Errorf("Shutdown returned %v while an event was being stored", err)
		ended <- err
	case <-time.After(50 * time.Millisecond):
	}
	close(stored)
	if err := <-accepted; err != nil {
		t.Errorf("Enqueue: %v", err)
	}
	if err := <-ended; err != nil || f.count("ch_1") != 1 {
		t.Errorf("Shutdown: %v after %d calls, want 1", err, f.count("ch_1"))
	}
}

// Shutdown may wait for an event that is being stored; nobody else does. Not in a bubble: Shutdown waits for a lock.
func TestNoEnqueueWaitsForShutdown(t *testing.T) {
	t.Parallel()
	observed, goOn := make(chan struct{}, 1), make(chan struct{})
	cfg := config(always(ok()))
	cfg.Observer = func(_ context.Context, s fprom.Step) {
		if s.Stage == fprom.StageEnqueued {
			observed <- struct{}{}
			<-goOn
		}
	}
	tracker := start(t, cfg)
	go func() { _ = tracker.Enqueue(context.Background(), sale("a")) }()
	<-observed
	ended := make(chan error, 1)
	go func() { ended <- tracker.Shutdown(t.Context()) }()
	refused := make(chan error, 1)
	go func() {
		for err := error(nil); !errors.Is(err, fprom.ErrClosed); { // until Shutdown has begun
			_, err = tracker.Track(t.Context(), sale("b"))
		}
		refused <- tracker.Enqueue(t.Context(), sale("c"))
	}()
	select {
	case err := <-refused:
		if !errors.Is(err, fprom.ErrClosed) {
			t.Errorf("Enqueue: %v, want ErrClosed", err)
		}
	case <-time.After(time.Minute):
		t.Error("an event waits for the Observer of another one")
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// closing is a Queue that says when it is closed.
type closing struct {
	fprom.Queue
	running bool
	closed  int
	err     error
}

func (q *closing) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	q.running = true
	err := q.Queue.Run(ctx, workers, deliver)
	q.running = false
	return err
}

func (q *closing) Close() error {
	if q.running {
		return errors.New("closed while it runs")
	}
	q.closed++
	return q.err
}

// Shutdown closes the queue once, and leaves it to the next Tracker, if it can be used again.
func TestShutdownClosesTheQueue(t *testing.T) {
	for want, broken := range map[string]error{"<nil>": nil, "fprom: close the queue: disk full": errors.New("disk full")} {
		t.Run(want, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := &closing{Queue: newRecorder(), err: broken}
				cfg := config(always(ok()))
				cfg.Queue = q
				for n := 1; n <= 2; n++ {
					tracker, err := fprom.New(cfg)
					if err != nil {
						t.Fatal(err)
					}
					enqueue(t, tracker, sale("x"))
					for range 2 {
						if err := tracker.Shutdown(t.Context()); fmt.Sprint(err) != want || !errors.Is(err, broken) || q.closed != n {
							t.Errorf("Shutdown: %v, closed %d times", err, q.closed)
						}
					}
				}
			})
		})
	}
}

// A Tracker that nobody gave a key does nothing.
func TestMethodsOfANilTracker(t *testing.T) {
	t.Parallel()
	var tracker *fprom.Tracker
	if r, err := tracker.Track(t.Context(), sale("x")); !errors.Is(err, fprom.ErrNoTracker) || r.Outcome != fprom.Undelivered {
		t.Errorf("Track: %v, %v", r, err)
	}
	if err := tracker.Enqueue(t.Context(), sale("x")); !errors.Is(err, fprom.ErrNoTracker) {
		t.Errorf("Enqueue: %v", err)
	}
	if err := errors.Join(tracker.Flush(t.Context()), tracker.Shutdown(t.Context())); err != nil {
		t.Errorf("Flush and Shutdown: %v", err)
	}
	if s := tracker.Stats(); s != (fprom.Stats{}) {
		t.Errorf("Stats: %+v", s)
	}
	if o, durable := tracker.Outbox(); o != nil || durable {
		t.Errorf("Outbox: %v", o)
	}
	checkSecrets(t, "nil", printed(t, tracker))
}

// A second Shutdown obeys its own context, and cuts the drain of the first.
func TestSecondShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker, err := fprom.New(config(always(reply{status: 500})))
		if err != nil {
			t.Fatal(err)
		}
		enqueue(t, tracker, sale("a"))
		first := make(chan error, 1)
		go func() { first <- tracker.Shutdown(context.Background()) }()
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		var left *fprom.UndeliveredError
		if err := tracker.Shutdown(ctx); !errors.As(err, &left) || time.Since(begin) > time.Second {
			t.Errorf("the second Shutdown: %v after %v", err, time.Since(begin))
		}
		if err := <-first; !errors.As(err, &left) {
			t.Errorf("the first Shutdown: %v", err)
		}
	})
}

// Shutdown returns soon after the end of its context although a transport does not look at its own, and hands back what is left.
func TestShutdownBesideADeafTransport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		cfg := config(deaf{release})
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		enqueue(t, tracker, sale2("a"), sale2("b"))
		settle()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		err = tracker.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 5*time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(begin))
		}
		var left *fprom.UndeliveredError
		if !errors.As(err, &left) || !reflect.DeepEqual(left.Events, []fprom.Event{sale2("a"), sale2("b")}) {
			t.Errorf("Shutdown hands back %v", left)
		}
		close(release)
		time.Sleep(time.Second)
	})
}

type deaf struct{ release chan struct{} }

func (d deaf) RoundTrip(*http.Request) (*http.Response, error) {
	<-d.release
	return nil, errReset
}

// An attempt that is under way has the time of Shutdown's context.
func TestShutdownLetsAnAttemptEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 200, body: okBody, after: 5 * time.Second})
		q := &shared{recorder: newRecorder()} // which is not drained
		cfg := config(f)
		cfg.Queue = q
		cfg.Observer = func(ctx context.Context, s fprom.Step) {
			if ctx.Err() != nil {
				t.Errorf("the Observer of the step %s cannot work: %v", s.Stage, ctx.Err())
			}
		}
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		enqueue(t, tracker, sale("a"))
		settle()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := tracker.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if answers := q.answers(); len(answers) != 1 || answers[0] != nil {
			t.Errorf("the attempt ended with %v", answers)
		}
	})
}

// A sale that is only asked about again does not keep Shutdown waiting.
func TestShutdownDoesNotWaitForWhatIsNotDue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker, err := fprom.New(config(always(unknownYet)))
		if err != nil {
			t.Fatal(err)
		}
		enqueue(t, tracker, referred())
		time.Sleep(10 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		begin := time.Now()
		var left *fprom.UndeliveredError
		if err := tracker.Shutdown(ctx); !errors.As(err, &left) || len(left.Events) != 1 || time.Since(begin) > time.Second {
			t.Errorf("Shutdown: %v after %v, want the sale at once", err, time.Since(begin))
		}
	})
}

// The longest time that a context can have is no deadline that has passed.
func TestShutdownWithTheLongestTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(always(ok())))
		time.Sleep(time.Second)
		enqueue(t, tracker, sale("a"))
		ctx, cancel := context.WithTimeout(t.Context(), math.MaxInt64)
		defer cancel()
		if err := tracker.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// trackBeside begins a Track, and returns when it waits. Its error comes later.
func trackBeside(t *testing.T, tracker *fprom.Tracker, e fprom.Event) <-chan error {
	t.Helper()
	tracked := make(chan error, 1)
	go func() {
		_, err := tracker.Track(t.Context(), e)
		tracked <- err
	}()
	settle()
	return tracked
}

// A Track that waits for a pause or the rate limit ends with Shutdown, and sends nothing after it: the next Tracker of the
// process has the whole limit.
func TestTrackEndsWithShutdown(t *testing.T) {
	for name, first := range map[string]reply{"in a pause": {status: 429}, "for the rate limit": ok()} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(first)
				cfg := config(f)
				cfg.RequestsPerMinute, cfg.Burst = 2, 1
				tracker := start(t, cfg)
				if _, err := tracker.Track(t.Context(), sale("first")); errors.Is(err, fprom.ErrClosed) {
					t.Fatal(err)
				}
				tracked := trackBeside(t, tracker, sale("a"))
				if err := tracker.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
				begin := time.Now()
				if err := <-tracked; !errors.Is(err, fprom.ErrClosed) || time.Since(begin) > 0 || f.count("a") != 0 {
					t.Errorf("Track after %v and %d calls: %v", time.Since(begin), f.count("a"), err)
				}
			})
		})
	}
}

// Nor does a Track send anything after Shutdown that waited for another call with its id.
func TestSecondTrackEndsWithShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 500, after: 5 * time.Second})
		tracker := start(t, config(f))
		time.Sleep(time.Minute) // there are tokens
		trackBeside(t, tracker, sale("a"))
		second := trackBeside(t, tracker, sale("a"))
		if err := tracker.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-second; !errors.Is(err, fprom.ErrClosed) || f.count("a") != 1 {
			t.Errorf("the second Track after %d calls: %v", f.count("a"), err)
		}
	})
}
