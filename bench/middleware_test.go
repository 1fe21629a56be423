package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/posthog/posthog-go"
	analytics "gopkg.in/segmentio/analytics-go.v3"
)

// hanging is a transport of a service that accepts and never answers, so that only the enqueueing is measured.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// writer is the cheapest ResponseWriter that has what a real one has.
type writer struct{ h http.Header }

func (w *writer) Header() http.Header                       { return w.h }
func (w *writer) Write(p []byte) (int, error)               { return len(p), nil }
func (w *writer) WriteHeader(int)                           {}
func (w *writer) Flush()                                    {}
func (w *writer) ReadFrom(r io.Reader) (n int64, err error) { return io.Copy(io.Discard, r) }

var ok = []byte("ok")

func serve(h http.Handler) func(int) {
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://shop.test/checkout", http.NoBody)
	w := &writer{h: http.Header{}}
	return func(n int) {
		for range n {
			h.ServeHTTP(w, r)
		}
	}
}

func chiWrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)
		_ = ww.Status()
	})
}

// BenchmarkMiddlewareIdle: a wrapped handler that records nothing.
// Goal: no allocation more than the bare handler, and cheaper than chi's WrapResponseWriter.
func BenchmarkMiddlewareIdle(b *testing.B) {
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: hanging{}}, Timeout: time.Hour})
	defer shutdown(t)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(ok) })
	race(b, 41, 200_000,
		contender{name: "bare handler", run: serve(bare)},
		contender{name: "fprom middleware", run: serve(nethttpadapter.Middleware(t)(bare))},
		contender{name: "chi WrapResponseWriter", run: serve(chiWrap(bare))},
	)
}

// BenchmarkMiddlewareSale: a handler that records a sale, which is validated, deduped and queued, beside the Enqueue of
// two analytics clients in the same handler. Goal: at most 4 allocations more than the bare handler, at least 3 times
// cheaper than the clients.
func BenchmarkMiddlewareSale(b *testing.B) {
	const n, rounds = 10_000, 15
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: hanging{}}, Timeout: time.Hour, Queue: fprom.NewMemoryQueue(n * (rounds + 2))})
	defer shutdown(t)
	ids := make([]string, n*(rounds+1))
	for i := range ids {
		ids[i] = fmt.Sprintf("ch_%024d", i)
	}
	at := 0
	next := func() string { at = (at + 1) % len(ids); return ids[at] }
	wrapped := nethttpadapter.Middleware(t)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := next()
		err := fprom.Record(r.Context(), fprom.Sale{EventID: id, Email: id[3:] + "@example.com", Amount: 1999, Currency: "USD", Plan: "pro"})
		if err != nil {
			b.Error(err)
		}
		_, _ = w.Write(ok)
	}))
	// What both handlers do beside tracking: the id and the address, made as the application would have them.
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sinkString = next()[3:] + "@example.com"
		_, _ = w.Write(ok)
	})
	seg, _ := analytics.NewWithConfig("key", analytics.Config{Transport: discard{}, Logger: analytics.StdLogger(nil), BatchSize: 250})
	defer seg.Close()
	segment := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		id := next()
		_ = seg.Enqueue(analytics.Track{
			MessageId: id, UserId: id[3:] + "@example.com", Event: "sale",
			Properties: analytics.NewProperties().SetRevenue(19.99).SetCurrency("USD").Set("plan", "pro"),
		})
		_, _ = w.Write(ok)
	})
	ph, _ := posthog.NewWithConfig("key", posthog.Config{Transport: discard{}, Logger: quiet{}, BatchSize: 250})
	defer ph.Close()
	hog := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		id := next()
		_ = ph.Enqueue(posthog.Capture{
			Uuid: "", DistinctId: id[3:] + "@example.com", Event: "sale",
			Properties: posthog.NewProperties().Set("revenue", 1999).Set("currency", "USD").Set("plan", "pro").Set("id", id),
		})
		_, _ = w.Write(ok)
	})
	race(b, rounds, n,
		contender{name: "bare handler", run: serve(bare)},
		contender{name: "fprom middleware", run: serve(wrapped)},
		contender{name: "analytics-go", run: serve(segment)},
		contender{name: "posthog-go", run: serve(hog)},
	)
}

var sinkString string

// discard answers every call of the analytics clients at once.
type discard struct{}

func (discard) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

type quiet struct{}

func (quiet) Debugf(string, ...any) {}
func (quiet) Logf(string, ...any)   {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

func shutdown(t *fprom.Tracker) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = t.Shutdown(ctx)
}
