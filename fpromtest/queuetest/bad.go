package queuetest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
)

// BadAnswers are bad answers by name. In TestBadEvents a few events always get one, and all others are tracked.
var BadAnswers = map[string]func(*http.Request) (*http.Response, error){
	"403":              answer(http.StatusForbidden, `{"message":"You don't have enough rights to perform this action","code":"forbidden"}`),
	"404 page":         answer(http.StatusNotFound, "<!DOCTYPE html><html></html>"),
	"302":              answer(http.StatusFound, ""),
	"500":              answer(http.StatusInternalServerError, ""),
	"409 without JSON": answer(http.StatusConflict, "<!DOCTYPE html><html></html>"),
	"503 and later": func(r *http.Request) (*http.Response, error) {
		resp, err := answer(http.StatusServiceUnavailable, "")(r)
		resp.Header.Set("Retry-After", "60")
		return resp, err
	},
	"hang": func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	},
}

func answer(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // in a bubble
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

const (
	usualRate = 370 // sales a minute at the limit of 400, without bad events
	goodRate  = usualRate * 80 / 100
)

// TestBadEvents checks that events that always get a bad answer do not stop the others. It puts bad of them first. From the fifth
// minute on, the others must keep at least 80 % of their rate. It runs a Tracker with the queue in a synctest bubble, so the queue
// must not wait for a network. answers are keys of BadAnswers. With "503 and later" at most 20 events are bad, because each of these
// answers pauses the account for a minute.
func TestBadEvents(t *testing.T, open func(t *testing.T) fprom.Queue, bad int, answers ...string) {
	t.Helper()
	for _, name := range answers {
		n := bad
		if name == "503 and later" {
			n = min(n, 20)
		}
		t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { badEvents(t, open(t), n, BadAnswers[name]) })
		})
	}
}

func badEvents(t *testing.T, q fprom.Queue, bad int, badly func(*http.Request) (*http.Response, error)) {
	t.Helper()
	calls := &goodCalls{begin: time.Now(), badly: badly}
	tracker, err := fprom.New(fprom.Config{
		APIKey: "test", AccountID: "1", BaseURL: "https://firstpromoter.test/track", HTTPClient: &http.Client{Transport: calls},
		Queue: q, RequestsPerMinute: 400, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tracker.Shutdown(endedContext(t)) }() // the bad events are still waiting, as intended
	enqueue := func(kind string, n int) {
		var events []fprom.Event
		for i := range n {
			id := fmt.Sprint(kind, i)
			events = append(events, fprom.Sale{EventID: id, Email: id + "@example.com", Amount: 100})
		}
		if err := tracker.Enqueue(t.Context(), events...); err != nil {
			t.Fatal(err)
		}
	}
	enqueue("bad", bad)
	for minute := range 15 {
		enqueue(fmt.Sprint("good", minute, "-"), usualRate+30)
		time.Sleep(time.Minute) //nolint:forbidigo // in a bubble
	}
	for _, from := range []int{5, 10} {
		if rate := calls.in(from, from+5) / 5; rate < goodRate {
			t.Errorf("%d good events a minute from minute %d on, want at least %d", rate, from, goodRate)
		}
	}
	if s := tracker.Stats(); s.Rejected != 0 {
		t.Errorf("%d events were given up within 15 minutes", s.Rejected)
	}
}

// goodCalls acts as FirstPromoter. It tracks the good events and counts them for each minute.
type goodCalls struct {
	begin time.Time
	badly func(*http.Request) (*http.Response, error)

	mu      sync.Mutex
	minutes [16]int
}

func (g *goodCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(body), `"event_id":"bad`) {
		return g.badly(r)
	}
	g.mu.Lock()
	g.minutes[min(int(time.Since(g.begin)/time.Minute), len(g.minutes)-1)]++
	g.mu.Unlock()
	return answer(http.StatusOK, `{"id":1}`)(r)
}

func (g *goodCalls) in(from, to int) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, calls := range g.minutes[from:to] {
		n += calls
	}
	return n
}

// endedContext returns a context that has ended.
func endedContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
