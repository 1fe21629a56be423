package fprom_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// TestPrintedContext: a context that is printed, as some log lines do, shows no header of the request.
func TestPrintedContext(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Cookie", "session=secret")
	hook := fprom.NewHook(nil)
	x := hook.Wrap(httptest.NewRecorder(), r)
	defer x.Close()
	rec := hook.Begin(t.Context(), r.Header)
	defer rec.Close()
	derived, cancel := context.WithCancel(x.Request().Context())
	defer cancel()
	for _, v := range []any{x.Request().Context(), derived, context.WithoutCancel(derived), rec.Request().Context()} {
		for _, verb := range []string{"%v", "%+v", "%s", "%#v", "%d"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "secret") {
				t.Errorf("%s of a %T: %s", verb, v, text)
			}
		}
	}
}

// enqueuerFunc is an Enqueuer that is asked once per request.
type enqueuerFunc func(ctx context.Context, events ...fprom.Event) error

func (f enqueuerFunc) Enqueue(ctx context.Context, events ...fprom.Event) error {
	return f(ctx, events...)
}

// TestOneEnqueue: what was recorded before the first byte is accepted in one call, and what follows in another.
func TestOneEnqueue(t *testing.T) {
	t.Parallel()
	var calls [][]fprom.Event
	keep := func(_ context.Context, events ...fprom.Event) error {
		calls = append(calls, events)
		return nil
	}
	serve(t, fprom.NewHook(enqueuerFunc(keep)), "", func(w http.ResponseWriter, r *http.Request) {
		record(t, r, validSale("1"), validSale("2"))
		record(t, r, validSale("3"))
		w.WriteHeader(http.StatusOK)
		record(t, r, validSale("4"), validSale("5"))
	})
	want := [][]fprom.Event{{validSale("1"), validSale("2"), validSale("3")}, {validSale("4"), validSale("5")}}
	if !reflect.DeepEqual(calls, want) {
		t.Errorf("calls %+v, want %+v", calls, want)
	}
}

func record(t *testing.T, r *http.Request, events ...fprom.Event) {
	t.Helper()
	if err := fprom.Record(r.Context(), events...); err != nil {
		t.Error(err)
	}
}

// TestNotAccepted: whatever becomes of Enqueue, the customer has paid and sees it. With WithFailClosed the answer is 503,
// except for an id that is used twice: the same would come of the same webhook for ever.
func TestNotAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		enqueue    func() error
		failClosed int // status
	}{
		{"accepted", func() error { return nil }, http.StatusOK},
		{"full", func() error { return fprom.ErrQueueFull }, http.StatusServiceUnavailable},
		{"conflict", func() error { return fmt.Errorf("sale:1: %w", fprom.ErrConflict) }, http.StatusOK},
		{"panic", func() error { panic("no") }, http.StatusServiceUnavailable},
		{"ErrAbortHandler", func() error { panic(http.ErrAbortHandler) }, http.StatusServiceUnavailable},
	} {
		enqueuer := enqueuerFunc(func(context.Context, ...fprom.Event) error { return c.enqueue() })
		handler := func(w http.ResponseWriter, r *http.Request) {
			record(t, r, validSale("1"))
			w.WriteHeader(http.StatusOK)
		}
		if w := serve(t, fprom.NewHook(enqueuer), "", handler); w.Code != http.StatusOK {
			t.Errorf("%s: status %d, want 200", c.name, w.Code)
		}
		if w := serve(t, fprom.NewHook(enqueuer, fprom.WithFailClosed()), "", handler); w.Code != c.failClosed {
			t.Errorf("%s, WithFailClosed: status %d, want %d", c.name, w.Code, c.failClosed)
		}
	}
}

// statusWriter keeps every status that is written.
type statusWriter struct {
	*httptest.ResponseRecorder
	statuses []int
}

func (w *statusWriter) WriteHeader(status int) {
	w.statuses = append(w.statuses, status)
	w.ResponseRecorder.WriteHeader(status)
}

// TestRefusedResponse: of a handler that goes on after the 503 of WithFailClosed the client sees nothing, and a server does not log a
// second status.
func TestRefusedResponse(t *testing.T) {
	t.Parallel()
	full := enqueuerFunc(func(context.Context, ...fprom.Event) error { return fprom.ErrQueueFull })
	w := &statusWriter{ResponseRecorder: httptest.NewRecorder()}
	x := fprom.NewHook(full, fprom.WithFailClosed()).Wrap(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody))
	defer x.Close()
	record(t, x.Request(), validSale("1"))
	x.Writer().WriteHeader(http.StatusOK)
	for _, src := range []io.Reader{strings.NewReader("receipt"), struct{ io.Reader }{strings.NewReader("receipt")}} { // with Write and with ReadFrom
		if n, err := io.Copy(x.Writer(), src); n != 7 || err != nil {
			t.Errorf("the handler wrote %d bytes: %v", n, err)
		}
	}
	x.Finish()
	if body := w.Body.String(); !slices.Equal(w.statuses, []int{http.StatusServiceUnavailable}) || body != "Service Unavailable\n" {
		t.Errorf("statuses %v, body %q", w.statuses, body)
	}
}

// TestRequestsTimeIsOver: a request whose context has ended succeeds all the same, where no http.TimeoutHandler answers in
// its place, and what is told to the Observer does not end with it.
func TestRequestsTimeIsOver(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for status, want := range map[int]fprom.Stage{
		http.StatusOK: fprom.StageEnqueued, http.StatusBadRequest: fprom.StageDiscarded, http.StatusBadGateway: fprom.StageDiscarded,
	} {
		var stages []fprom.Stage
		cfg := config(nil)
		cfg.Queue = sink{}
		cfg.Observer = func(ctx context.Context, s fprom.Step) {
			stages = append(stages, s.Stage)
			if ctx.Err() != nil {
				t.Errorf("%s: the context has ended", s.Stage)
			}
		}
		tracker := start(t, cfg)
		x := fprom.NewHook(tracker).Wrap(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/", http.NoBody))
		record(t, x.Request(), validSale("1"))
		x.Writer().WriteHeader(status)
		x.Finish()
		x.Close()
		if !slices.Equal(stages, []fprom.Stage{want}) {
			t.Errorf("status %d: %v, want %v", status, stages, want)
		}
		if s := tracker.Stats(); s.Enqueued+s.Discarded != 1 || (s.Discarded == 1) != (want == fprom.StageDiscarded) {
			t.Errorf("status %d: %d enqueued, %d discarded", status, s.Enqueued, s.Discarded)
		}
	}
}

// TestDiscardedBesideASuccess: a handler that plainly fails is no news; what is thrown away although the client may see a
// success has its reason in the step, and a warning in the log.
func TestDiscardedBesideASuccess(t *testing.T) {
	t.Parallel()
	note := errors.New("the receipt could not be mailed")
	for _, c := range []struct {
		name   string
		handle func(*fprom.Exchange)
		reason string // part of it; empty: none
	}{
		{"402", func(r *fprom.Exchange) { _ = r.Commit(http.StatusPaymentRequired); r.Finish() }, ""},
		{"panic", func(*fprom.Exchange) {}, ""},
		{"reason, 200", func(r *fprom.Exchange) { r.Discard(note); _ = r.Commit(http.StatusOK); r.Finish() }, note.Error()},
		{"reason, 103 and 502", func(r *fprom.Exchange) {
			r.Discard(note)
			_ = r.Commit(http.StatusEarlyHints)
			_ = r.Commit(http.StatusBadGateway)
			r.Finish()
		}, ""},
		{"no reason, 200", func(r *fprom.Exchange) { r.Discard(nil); _ = r.Commit(http.StatusOK); r.Finish() }, ""},
		{"recorded after 200, panic", func(r *fprom.Exchange) {
			_ = r.Commit(http.StatusOK)
			_ = fprom.Record(r.Request().Context(), validSale("late"))
		}, "did not return normally"},
	} {
		var log bytes.Buffer
		var seen steps
		cfg := config(nil)
		cfg.Queue, cfg.Observer = sink{}, seen.observe
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		rec := fprom.NewHook(start(t, cfg)).Begin(t.Context(), nil)
		if err := fprom.Record(rec.Request().Context(), validSale("1")); err != nil {
			t.Fatal(err)
		}
		c.handle(rec)
		rec.Close()
		if err := fprom.Record(rec.Request().Context(), validSale("after the end")); !errors.Is(err, fprom.ErrNoMiddleware) {
			t.Errorf("%s: Record after the end: %v, want ErrNoMiddleware", c.name, err)
		}
		discarded := seen.of(fprom.StageDiscarded)
		if len(discarded) != 1 {
			t.Errorf("%s: %d events discarded, want 1", c.name, len(discarded))
			continue
		}
		err := discarded[0].Err
		if (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: discarded with %v, want %q", c.name, err, c.reason)
		}
		if warned := strings.Contains(log.String(), "level=WARN"); warned != (c.reason != "") || !strings.Contains(log.String(), c.reason) {
			t.Errorf("%s: the log says %q", c.name, log.String())
		}
	}
}

// TestDeadlineInsideATimeoutHandler: under an http.TimeoutHandler a request whose deadline has passed counts as answered with
// 503. With a shorter deadline inside, the client sees a success: so the log warns of what is discarded, but of no declined card.
func TestDeadlineInsideATimeoutHandler(t *testing.T) {
	t.Parallel()
	for status, warns := range map[int]bool{http.StatusOK: true, http.StatusPaymentRequired: false} {
		var log bytes.Buffer
		cfg := config(nil)
		cfg.Queue = sink{}
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		hook := fprom.NewHook(start(t, cfg))
		shorter := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithDeadline(r.Context(), time.Unix(0, 0))
			defer cancel()
			x := hook.Wrap(w, r.WithContext(ctx))
			defer x.Close()
			record(t, x.Request(), validSale("1"))
			x.Writer().WriteHeader(status)
			x.Finish()
		})
		w := httptest.NewRecorder()
		http.TimeoutHandler(shorter, time.Minute, "").ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody))
		if w.Code != status || strings.Contains(log.String(), "NOT TRACKED") != warns {
			t.Errorf("status %d, the log says %q, want a warning: %v", w.Code, log.String(), warns)
		}
	}
}

// TestShorterDeadlineInTheRequest: a handler that gives its request a shorter deadline, in place, and answers 200 after it, has
// succeeded. Only the deadline of the http.TimeoutHandler makes the response a 503.
func TestShorterDeadlineInTheRequest(t *testing.T) {
	t.Parallel()
	cfg := config(nil)
	cfg.Queue = sink{}
	tracker := start(t, cfg)
	h := nethttpadapter.Middleware(tracker)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
		defer cancel()
		*r = *r.WithContext(ctx)
		if err := fprom.Record(r.Context(), validSale("1")); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
	}))
	w := httptest.NewRecorder()
	http.TimeoutHandler(h, time.Minute, "").ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody))
	if s := tracker.Stats(); w.Code != http.StatusOK || s.Enqueued != 1 {
		t.Errorf("status %d, %d events enqueued, want 200 and 1", w.Code, s.Enqueued)
	}
}

// TestPanicInATimeoutHandler: the http.TimeoutHandler has held the success back, so the client sees none, and nothing is warned of.
func TestPanicInATimeoutHandler(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var seen steps
	cfg := config(nil)
	cfg.Queue, cfg.Observer = sink{}, seen.observe
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	hook := fprom.NewHook(start(t, cfg))
	h := http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := hook.Wrap(w, r)
		defer x.Close()
		record(t, x.Request(), validSale("1"))
		x.Writer().WriteHeader(http.StatusOK)
		panic("no")
	}), time.Minute, "")
	func() {
		defer func() { _ = recover() }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody))
	}()
	if got := seen.of(fprom.StageDiscarded); len(got) != 1 || got[0].Err != nil || log.String() != "" {
		t.Errorf("discarded %+v, the log says %q", got, log.String())
	}
}

// TestLogOfARefusedRequest: with WithFailClosed the client sees no success, and the event comes again. The log says so.
func TestLogOfARefusedRequest(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	q := newRecorder()
	q.onPut = func([]fprom.Message, func() error) error { return fprom.ErrQueueFull }
	cfg := config(nil)
	cfg.Queue, cfg.Logger = q, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	w := serve(t, fprom.NewHook(start(t, cfg), fprom.WithFailClosed()), "", func(_ http.ResponseWriter, r *http.Request) {
		record(t, r, validSale("1"))
	})
	line := log.String()
	if w.Code != http.StatusServiceUnavailable || strings.Count(line, "\n") != 1 || !strings.Contains(line, "answered with 503") || strings.Contains(line, "success") {
		t.Errorf("status %d, the log says %q", w.Code, line)
	}
}

// TestLostBesideOthers: if the queue takes nothing, only the events that it was asked to store are lost: not one that was
// delivered before, and not one with another amount, which is a conflict.
func TestLostBesideOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen steps
		q := &fullDisk{Queue: fprom.NewMemoryQueue(10)}
		cfg := config(always(ok()))
		cfg.Queue, cfg.Observer = q, seen.observe
		tracker := start(t, cfg)
		other := validSale("conflict")
		other.Amount++
		serve(t, fprom.NewHook(tracker), "", func(_ http.ResponseWriter, r *http.Request) {
			record(t, r, validSale("delivered"), validSale("lost"), other)
			enqueue(t, tracker, validSale("delivered"), validSale("conflict")) // by another request
			flush(t, tracker, time.Minute)
			q.err = errors.New("no space left on device")
		})
		for stage, want := range map[fprom.Stage]string{fprom.StageLost: "sale:lost", fprom.StageConflict: "sale:conflict"} {
			if got := seen.of(stage); len(got) != 1 || got[0].Message.Key != want {
				t.Errorf("%s: %+v, want %s", stage, got, want)
			}
		}
		if s := tracker.Stats(); s.Lost != 1 || s.Conflicts != 1 || s.Discarded != 0 {
			t.Errorf("%d lost, %d conflicts, %d discarded; want 1, 1, 0", s.Lost, s.Conflicts, s.Discarded)
		}
	})
}
