package fprom_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// bomb panics so often.
type bomb struct{ left atomic.Int32 }

func (b *bomb) tick() {
	if b.left.Add(-1) >= 0 {
		panic("foreign code")
	}
}

type panickyTransport struct {
	bomb
	*fake
}

func (p *panickyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	p.tick()
	return p.fake.RoundTrip(r)
}

type panickyHandler struct {
	slog.Handler
	bomb
}

func (*panickyHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *panickyHandler) Handle(context.Context, slog.Record) error {
	h.tick()
	return nil
}

// panickyQueue panics in one of its methods.
type panickyQueue struct {
	fprom.Queue
	put, run, stats, flush, closing bomb
}

func (q *panickyQueue) Put(ctx context.Context, m ...fprom.Message) error {
	q.put.tick()
	return q.Queue.Put(ctx, m...)
}

func (q *panickyQueue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	q.run.tick()
	return q.Queue.Run(ctx, workers, deliver)
}

func (q *panickyQueue) Stats(ctx context.Context) (fprom.QueueStats, error) {
	q.stats.tick()
	return q.Queue.Stats(ctx)
}

func (q *panickyQueue) Flush(ctx context.Context) error {
	q.flush.tick()
	return q.Queue.Flush(ctx)
}

func (q *panickyQueue) Close() error {
	q.closing.tick()
	return q.Queue.Close()
}

// TestPanicsOfForeignCode: a panic of what the user plugged in ends neither the process nor the checkout, and nothing of
// what was under way stays taken: the event is delivered all the same.
func TestPanicsOfForeignCode(t *testing.T) {
	tests := map[string]func(cfg *fprom.Config, q *panickyQueue, tr *panickyTransport){
		"transport":     func(_ *fprom.Config, _ *panickyQueue, tr *panickyTransport) { tr.left.Store(7) },
		"queue's Run":   func(_ *fprom.Config, q *panickyQueue, _ *panickyTransport) { q.run.left.Store(3) },
		"queue's Stats": func(_ *fprom.Config, q *panickyQueue, _ *panickyTransport) { q.stats.left.Store(3) },
		"observer": func(cfg *fprom.Config, _ *panickyQueue, _ *panickyTransport) {
			var b bomb
			b.left.Store(1000)
			cfg.Observer = func(context.Context, fprom.Step) { b.tick() }
		},
		"logger": func(cfg *fprom.Config, _ *panickyQueue, _ *panickyTransport) {
			h := &panickyHandler{Handler: slog.DiscardHandler}
			h.left.Store(1000)
			cfg.Logger = slog.New(h)
		},
	}
	for name, arm := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tr := &panickyTransport{fake: always(ok())}
				q := &panickyQueue{Queue: fprom.NewMemoryQueue(0)}
				cfg := config(tr)
				cfg.Queue, cfg.Breaker.Failures = q, 2
				arm(&cfg, q, tr)
				tracker := start(t, cfg)
				enqueue(t, tracker, sale("a"), sale("b"), refund("c"))
				flush(t, tracker, time.Hour)
				if r, err := tracker.Track(t.Context(), sale("d")); r.Outcome != fprom.Tracked {
					t.Errorf("Track: %v, %v", r.Outcome, err)
				}
				if s := tracker.Stats(); s.Tracked != 4 || s.Breaker != "closed" || s.Panics == 0 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// A panic in Track's attempt leaves neither the claim, nor the breaker's probe, nor the pause's probe taken.
func TestPanicInTrack(t *testing.T) {
	for name, before := range map[string]reply{"probe of the breaker": {status: 500}, "probe of a pause": {status: 401}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tr := &panickyTransport{fake: script(before, ok())}
				cfg := config(tr)
				cfg.Breaker.Failures = 1
				tracker := start(t, cfg)
				_, _ = tracker.Track(t.Context(), sale("before"))
				time.Sleep(2 * time.Second)
				tr.left.Store(1)
				if _, err := tracker.Track(t.Context(), sale("a")); err == nil {
					t.Error("a panic of the transport is no error")
				}
				time.Sleep(2 * time.Second)
				if r, err := tracker.Track(t.Context(), sale("a")); r.Outcome != fprom.Tracked {
					t.Errorf("the same event again: %v, %v", r.Outcome, err)
				}
			})
		})
	}
}

// TestGoexitOfForeignCode: foreign code that ends its goroutine costs no worker, and keeps no event and no later event of its customer.
func TestGoexitOfForeignCode(t *testing.T) {
	for _, where := range []string{"transport", "observer", "queue's Run"} {
		t.Run(where, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var left atomic.Int32
				left.Store(2)
				exit := func(here string) {
					if here == where && left.Add(-1) >= 0 {
						runtime.Goexit()
					}
				}
				cfg := config(&fake{answer: func(int, call) reply { exit("transport"); return ok() }})
				cfg.Observer = func(_ context.Context, s fprom.Step) {
					if s.Stage != fprom.StageEnqueued {
						exit("observer")
					}
				}
				cfg.Queue, cfg.Workers = &exitingQueue{newRecorder(), func() { exit("queue's Run") }}, 2
				tracker := start(t, cfg)
				for _, id := range []string{"a", "b", "c", "d"} {
					s := sale(id)
					s.Email = "ann@example.com"
					enqueue(t, tracker, s)
				}
				flush(t, tracker, time.Minute)
				if s := tracker.Stats(); s.Tracked != 4 {
					t.Errorf("stats %+v", s)
				}
			})
		})
	}
}

// exitingQueue calls exit before it runs.
type exitingQueue struct {
	*recorder
	exit func()
}

func (q *exitingQueue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	q.exit()
	return q.recorder.Run(ctx, workers, deliver)
}

type panickyBody struct{ ctx context.Context } //nolint:containedctx // of the request, as net/http's bodies have it

func (b panickyBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func (panickyBody) Close() error { panic("foreign code") }

type panickyAnswer struct{}

func (panickyAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: panickyBody{r.Context()}}, nil
}

// The time of an attempt ends while its answer is read: a body whose Close panics then does not end the process.
func TestPanicInClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		if r, err := start(t, config(panickyAnswer{})).Track(t.Context(), sale("a")); r.Outcome != fprom.Undelivered || err == nil {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
	})
}

type panickyError struct{}

func (panickyError) Error() string { return "no route" }
func (panickyError) Is(error) bool { panic("foreign code") }

type failsBadly struct{}

func (failsBadly) RoundTrip(*http.Request) (*http.Response, error) { return nil, panickyError{} }

// An error of the transport whose Is panics is an error of Track like any other.
func TestPanicInError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		if r, err := start(t, config(failsBadly{})).Track(t.Context(), sale("a")); r.Outcome != fprom.Undelivered || err == nil {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
	})
}

// panicsInWatch is a Watcher whose Watch panics.
type panicsInWatch struct{ fprom.Queue }

func (*panicsInWatch) Watch(func() fprom.Stats) { panic("watch") }

// TestPanicInWatch: New returns a Tracker that delivers.
func TestPanicInWatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := config(always(ok()))
		cfg.Queue = &panicsInWatch{fprom.NewMemoryQueue(0)}
		tracker := start(t, cfg)
		if err := tracker.Enqueue(t.Context(), fprom.Sale{EventID: "s", Email: "a@example.com", Amount: 1}); err != nil {
			t.Fatal(err)
		}
		if err := tracker.Flush(t.Context()); err != nil || tracker.Stats().Tracked != 1 || tracker.Stats().Panics != 1 {
			t.Errorf("Flush: %v, %+v", err, tracker.Stats())
		}
	})
}

// A panic of Put is an error of Enqueue, and the same event can be enqueued again at once.
func TestPanicInPut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &panickyQueue{Queue: fprom.NewMemoryQueue(0)}
		cfg := config(always(ok()))
		cfg.Queue = q
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		q.put.left.Store(1)
		if err := tracker.Enqueue(t.Context(), sale("a")); err == nil {
			t.Error("a panic of Put is no error")
		}
		begin := time.Now()
		enqueue(t, tracker, sale("a"))
		if d := time.Since(begin); d > 0 {
			t.Errorf("the second Enqueue waited %v", d)
		}
		q.flush.left.Store(1)
		if err := tracker.Flush(t.Context()); err == nil {
			t.Error("a panic of Flush is no error")
		}
		flush(t, tracker, time.Minute)
		q.closing.left.Store(1)
		if err := tracker.Shutdown(t.Context()); err == nil {
			t.Error("a panic of Close is no error")
		}
	})
}

// A Logger that panics does not reach the handler that records.
func TestPanicOfTheLoggerInRecord(t *testing.T) {
	t.Parallel()
	h := &panickyHandler{Handler: slog.DiscardHandler}
	cfg := config(nil)
	cfg.Queue, cfg.Logger = sink{}, slog.New(h)
	tracker := start(t, cfg)
	h.left.Store(1000)
	serve(t, fprom.NewHook(tracker), "_fprom_ref=joe13", func(_ http.ResponseWriter, r *http.Request) {
		if err := fprom.Record(r.Context(), validSale("1")); err != nil {
			t.Error(err)
		}
	})
	if tracker.Stats().Panics == 0 {
		t.Error("the logger was not called")
	}
}

// panickyLimiter is a queue that is shared, and panics.
type panickyLimiter struct {
	*recorder
	admit, pause bomb
}

func (q *panickyLimiter) Admit(context.Context, int) error {
	q.admit.tick()
	return nil
}

func (q *panickyLimiter) Pause(context.Context, time.Duration, error) error {
	q.pause.tick()
	return nil
}

// A panic of a shared queue does not reach the caller of Track.
func TestPanicOfALimiter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &panickyLimiter{recorder: newRecorder()}
		q.admit.left.Store(1)
		q.pause.left.Store(1)
		var log bytes.Buffer
		cfg := config(script(reply{status: 401}, ok()))
		cfg.Queue, cfg.Logger = q, slog.New(slog.NewTextHandler(&log, nil))
		tracker := start(t, cfg)
		for _, what := range []string{"Admit", "Pause"} {
			if _, err := tracker.Track(t.Context(), sale("a")); err == nil {
				t.Errorf("%s: no error", what)
			}
		}
		time.Sleep(2 * time.Second)
		if r, err := tracker.Track(t.Context(), sale("a")); r.Outcome != fprom.Tracked {
			t.Errorf("Track: %v, %v", r.Outcome, err)
		}
		if s := tracker.Stats(); s.Panics != 2 || !strings.Contains(log.String(), "cannot tell the other processes about the pause") {
			t.Errorf("%d panics counted, want 2; logged:\n%s", s.Panics, log.String())
		}
	})
}
