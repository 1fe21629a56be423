package statuspage_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/internal/outboxtest"
	"github.com/fprom-go/fprom/nethttpadapter"
	"github.com/fprom-go/fprom/statuspage"
)

func tracker(t *testing.T, cfg fprom.Config) *fprom.Tracker {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	tr, err := fprom.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_ = tr.Shutdown(ctx)
	})
	return tr
}

// await asks for the page until it says text.
func await(t *testing.T, h http.Handler, text string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		body := get(t, h, "/").Body.String()
		if strings.Contains(body, text) {
			return body
		}
		if time.Now().After(end) {
			t.Fatalf("the page does not say %q:\n%s", text, body)
		}
	}
}

func sale(id string) fprom.Sale {
	return fprom.Sale{EventID: id, Email: "jane@example.com", Amount: 4900, Currency: "USD"}
}

func TestWithQueueInMemory(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithAllLeads())
	tr := tracker(t, fake.Config())
	h := handler(t, tr, statuspage.Options{Public: true, Writable: true})
	if err := tr.Enqueue(t.Context(), sale("ch_1")); err != nil {
		t.Fatal(err)
	}
	if err := tr.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := await(t, h, "<dt>tracked</dt><dd>1</dd>")
	for _, want := range []string{"All is well.", "does not outlive the process", "Backlog of the last 24 hours"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("do=redrive&all=1"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusConflict {
		t.Errorf("redrive answered %d, want 409: there are no dead letters to see", w.Code)
	}
}

// How many calls were made is shown if the outbox or the service knows it, never as 0 if neither does.
func TestCallsOfTheLastMinute(t *testing.T) {
	t.Parallel()
	tr := tracker(t, fpromtest.NewServer(t).Config())
	for name, c := range map[string]struct {
		tracker    *fprom.Tracker
		known      *int
		want, json string
	}{
		"unknown":    {nil, nil, "only the service knows", ""},
		"none":       {nil, new(0), "of 400 allowed", `"last_minute": 0`},
		"some":       {nil, new(123), "of 400 allowed", `"last_minute": 123`},
		"of service": {tr, nil, "by this process, of 400 allowed", `"last_minute": 0`},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t, c.tracker, statuspage.Options{Public: true, Outbox: &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true, Breaker: "closed", LastMinute: c.known}}})
			if body := get(t, h, "/").Body.String(); !strings.Contains(body, ">"+c.want) {
				t.Errorf("the page does not say %q", c.want)
			}
			if body := get(t, h, "/status.json").Body.String(); !strings.Contains(body, c.json) || (c.json == "") == strings.Contains(body, "last_minute") {
				t.Errorf("%s", body)
			}
		})
	}
}

// An event that the Tracker refuses does not reach the outbox: status.json counts it too.
func TestConflictsOfTheTracker(t *testing.T) {
	t.Parallel()
	tr := tracker(t, fpromtest.NewServer(t).Config())
	again := sale("ch_2")
	again.Amount++
	if err := tr.Enqueue(t.Context(), sale("ch_2")); err != nil {
		t.Fatal(err)
	}
	if err := tr.Enqueue(t.Context(), again); !errors.Is(err, fprom.ErrConflict) {
		t.Fatal(err)
	}
	h := handler(t, tr, statuspage.Options{Public: true, Outbox: &outboxtest.Outbox{Status: fprom.QueueStats{Delivering: true}}})
	if body := get(t, h, "/status.json").Body.String(); strings.Contains(body, `"conflicts": 0`) || !strings.Contains(body, "\n  \"conflicts\": 1,") || !strings.Contains(body, "1 event was not tracked") {
		t.Errorf("%s", body)
	}
}

func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t)
	fake.Inject(fpromtest.Status(http.StatusUnauthorized))
	tr := tracker(t, fake.Config())
	h := handler(t, tr, statuspage.Options{Public: true})
	if err := tr.Enqueue(t.Context(), sale("ch_1")); err != nil {
		t.Fatal(err)
	}
	await(t, h, "FirstPromoter refuses the API key or the account id. 1 event waits.")
	if w := get(t, h, "/readyz"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "credentials") {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
}

// full disk.
type sealed struct{ fprom.Queue }

func (sealed) Put(context.Context, ...fprom.Message) error {
	return errors.New("no space left on device")
}

func TestLostIsSaidFirst(t *testing.T) {
	t.Parallel()
	cfg := fpromtest.NewServer(t).Config()
	cfg.Queue = sealed{fprom.NewMemoryQueue(1)}
	tr := tracker(t, cfg)
	shop := nethttpadapter.Middleware(tr)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = fprom.Record(r.Context(), sale("ch_1"))
	}))
	get(t, shop, "/checkout")
	h := handler(t, tr, statuspage.Options{Public: true})
	body := await(t, h, "The last event was not stored: no space left on device.")
	if !strings.Contains(body, "1 event could not be stored and was lost.") {
		t.Error("the page does not say how many were lost")
	}
	if !strings.Contains(body, `<div class="tile fail"><h2>Lost</h2><p>1</p>`) {
		t.Error("the figure is not 1, or looks as if all were well")
	}
	if w := get(t, h, "/readyz"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "no space left on device") {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
	if w := get(t, h, "/"); !strings.Contains(w.Body.String(), "Commissions need you now.") {
		t.Error("a lost event is not at the top")
	}
}

// TestAdviceFindsTheLine: what the page says to search the log for is in it.
func TestAdviceFindsTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory())
		fake.Inject(fpromtest.Status(http.StatusBadRequest))
		var log bytes.Buffer
		cfg := fake.Config()
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Observer = func(context.Context, fprom.Step) { panic("an Observer") }
		tr, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tr.Shutdown(t.Context()) }()
		again := sale("ch_1")
		again.Amount++
		if err := tr.Enqueue(t.Context(), sale("ch_1")); err != nil {
			t.Fatal(err)
		}
		if err := tr.Enqueue(t.Context(), again); !errors.Is(err, fprom.ErrConflict) {
			t.Fatal(err)
		}
		if err := tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		advice := regexp.MustCompile("Search the log for `([^`]+)`").FindAllStringSubmatch(get(t, handler(t, tr, statuspage.Options{Public: true}), "/status.json").Body.String(), -1)
		if len(advice) != 3 {
			t.Errorf("%q, want advice on a dead letter, a conflict and panics", advice)
		}
		for _, a := range advice {
			if !strings.Contains(log.String(), a[1]) {
				t.Errorf("nothing in the log has %q:\n%s", a[1], log.String())
			}
		}
	})
}

func TestNilTracker(t *testing.T) {
	t.Parallel()
	h := handler(t, nil, statuspage.Options{Public: true})
	await(t, h, "There is no tracker: nothing is reported to FirstPromoter.")
	if ready := get(t, h, "/readyz"); ready.Code != http.StatusServiceUnavailable || !strings.Contains(ready.Body.String(), "there is no tracker") {
		t.Errorf("readyz: %d %s", ready.Code, ready.Body)
	}
}

// mute is a queue that is no Outbox, and that gives no figures.
type mute struct{ fprom.Queue }

func (mute) Stats(context.Context) (fprom.QueueStats, error) {
	return fprom.QueueStats{}, errors.New("the database does not answer")
}

// While a queue of the service's own gives no figures, nobody knows whether all is well.
func TestQueueWithoutFigures(t *testing.T) {
	t.Parallel()
	cfg := fpromtest.NewServer(t).Config()
	cfg.Queue = mute{fprom.NewMemoryQueue(10)}
	h := handler(t, tracker(t, cfg), statuspage.Options{Public: true})
	if body := get(t, h, "/").Body.String(); strings.Contains(body, "All is well") || !strings.Contains(body, "the database does not answer") {
		t.Error(body)
	}
	if ready := get(t, h, "/readyz"); ready.Code != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", ready.Code)
	}
}

// A queue that stands still for a reason of its own is what the operator must mend, also while the Tracker is paused, or its breaker open.
func TestStoppedQueueBeforePause(t *testing.T) {
	t.Parallel()
	const stopped = "the queue fprom is paused in River: resume it"
	fake := fpromtest.NewServer(t, fpromtest.WithAllLeads())
	fake.Inject(fpromtest.Status(http.StatusTooManyRequests).RetryAfter("600"))
	tr := tracker(t, fake.Config())
	if _, err := tr.Track(t.Context(), sale("ch_1")); err == nil || tr.Stats().PausedUntil.IsZero() {
		t.Fatalf("%v, %+v", err, tr.Stats())
	}
	for name, c := range map[string]struct {
		tracker *fprom.Tracker
		queue   fprom.QueueStats
	}{
		"paused":       {tr, fprom.QueueStats{PauseReason: stopped}},
		"breaker open": {nil, fprom.QueueStats{PauseReason: stopped, Breaker: "open"}},
	} {
		h := handler(t, c.tracker, statuspage.Options{Public: true, Outbox: &outboxtest.Outbox{Status: c.queue}})
		if body := get(t, h, "/status.json").Body.String(); !strings.Contains(body, "Nothing is delivered: "+stopped) {
			t.Errorf("%s: %s", name, body)
		}
		if ready := get(t, h, "/readyz"); ready.Code != http.StatusServiceUnavailable || !strings.Contains(ready.Body.String(), stopped) {
			t.Errorf("%s: readyz %d %s", name, ready.Code, ready.Body)
		}
	}
}
