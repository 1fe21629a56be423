//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/ginadapter"
	"github.com/fprom-go/fprom/nethttpadapter"
	"github.com/gin-gonic/gin"
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

// gate is the transport of a service that answers only between the rounds, so that a round measures the enqueueing alone,
// into a queue that is used and not ever growing.
type gate struct {
	asked   atomic.Int64
	fillers uint64 // sales of occupy

	mu   sync.Mutex
	open chan struct{} // closed while the service answers
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	g.asked.Add(1)
	select {
	case <-open:
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{"id":1}`)), Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// drain lets everything through that t has queued, and then gives each worker a sale that hangs: what a round measures is
// recorded, and not delivered. FirstPromoter's limit lets 6.7 of the sales of a second be delivered in it.
func (g *gate) drain(b *testing.B, t *fprom.Tracker) {
	b.Helper()
	const workers = 64 // Config's default
	close(g.open)
	must(b, t.Flush(context.Background()))
	g.mu.Lock()
	g.open = make(chan struct{})
	g.mu.Unlock()
	g.asked.Store(0)
	for range workers {
		g.fillers++
		id := fmt.Sprintf("filler_%d", g.fillers)
		must(b, t.Enqueue(context.Background(), fprom.Sale{EventID: id, UID: id, Amount: 1}))
	}
	for g.asked.Load() < workers {
		time.Sleep(time.Millisecond)
	}
}

// writer is the cheapest ResponseWriter that has what a real one has.
type writer struct{ h http.Header }

func (w *writer) Header() http.Header         { return w.h }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(int)             {}
func (w *writer) Flush()                      {}
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}
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

// noLog is a formatter for chi's RequestLogger, which is its middleware on WrapResponseWriter, that logs nothing.
type noLog struct{}

func (noLog) NewLogEntry(*http.Request) middleware.LogEntry   { return noLog{} }
func (noLog) Write(int, int, http.Header, time.Duration, any) {}
func (noLog) Panic(any, []byte)                               {}

// BenchmarkMiddlewareIdle: a wrapped handler that records nothing.
// Goal: at most 3 allocations and 500 ns more than the bare handler.
func BenchmarkMiddlewareIdle(b *testing.B) {
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: hanging{}}, Timeout: time.Hour})
	defer shutdown(t)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(ok) })
	race(b, 41, 200_000,
		contender{name: "bare handler", run: serve(bare)},
		contender{name: "fprom middleware", run: serve(nethttpadapter.Middleware(t)(bare))},
		contender{name: "chi WrapResponseWriter", run: serve(chiWrap(bare))},
		contender{name: "chi RequestLogger, no log", run: serve(middleware.RequestLogger(noLog{})(bare))},
	)
}

// BenchmarkMiddlewareSale: a handler that records a sale, which is validated, deduped and queued, beside the Enqueue of
// two analytics clients in the same handler, one request after the other. All events are new. What the clients do behind
// their channel (encoding, batches, a transport that answers at once) is part of the figures, as they make the handler
// wait for it; fprom has encoded the event when its handler returns, and its FirstPromoter hangs.
// Goal: at most 10 allocations more than the bare handler, and less processor time than the clients.
func BenchmarkMiddlewareSale(b *testing.B) {
	const n, rounds = 10_000, 15
	handlers := saleHandlers(b, n*(rounds+1))
	cs := make([]contender, len(handlers))
	for i, h := range handlers {
		cs[i] = contender{name: h.name, prepare: h.prepare, run: serve(h)}
	}
	race(b, rounds, n, cs...)
	for _, h := range handlers {
		h.end(n * (rounds + 1))
	}
}

// BenchmarkMiddlewareSaleBurst: the same with 50 requests in a row and then time for the clients to empty their channel
// of 100: only what the handler itself waits for.
func BenchmarkMiddlewareSaleBurst(b *testing.B) {
	const burst, bursts = 50, 400
	handlers := saleHandlers(b, burst*bursts)
	took := make([][]float64, len(handlers))
	for range bursts {
		for i, h := range handlers {
			run := serve(h)
			start := time.Now()
			run(burst)
			took[i] = append(took[i], float64(time.Since(start).Nanoseconds())/burst)
			time.Sleep(time.Millisecond)
		}
	}
	rows := [][]string{{"contender", "ns/op", "more than bare", "× fprom"}}
	bare, ours := middle(took[0]), middle(took[1])
	for i, h := range handlers {
		h.end(burst * bursts)
		more := middle(took[i]) - bare
		rows = append(rows, []string{h.name, whole(middle(took[i])), whole(more), fmt.Sprintf("%.2f", more/(ours-bare))})
		metric(b, more/(ours-bare), h.name, "fprom")
	}
	table(b, fmt.Sprintf("%d bursts of %d requests", bursts, burst), rows)
}

// saleHandler is a checkout that tells somebody of n sales. prepare comes before each round, end checks that all were told.
type saleHandler struct {
	http.Handler
	name    string
	prepare func(int)
	end     func(n int)
}

// saleHandlers make the same of each id: what an application has of a sale, beside the telling. The first tells nobody.
func saleHandlers(b *testing.B, n int) []saleHandler {
	b.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = saleID(i)
	}
	handler := func(name string, wrap func(http.Handler) http.Handler, end func(int), tell func(r *http.Request, id, email string) error) saleHandler {
		at := 0
		h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := ids[at]
			at++
			if err := tell(r, id, id[3:]+"@example.com"); err != nil {
				b.Error(err)
			}
			_, _ = w.Write(ok)
		}))
		return saleHandler{wrap(h), name, func(int) {}, end}
	}
	plain := func(h http.Handler) http.Handler { return h }
	service := &gate{open: make(chan struct{})}
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: service}, Timeout: time.Hour, Queue: fprom.NewMemoryQueue(n)})
	var toSegment, toPostHog discard
	arrived := func(name string, d *discard, n int) {
		if got := d.events.Load(); got != int64(n) {
			b.Errorf("%d of %d events arrived at %s", got, n, name)
		}
	}
	seg, err := analytics.NewWithConfig("key", analytics.Config{Transport: &toSegment, Logger: analytics.StdLogger(log.New(io.Discard, "", 0)), BatchSize: 250})
	must(b, err)
	ph, err := posthog.NewWithConfig("key", posthog.Config{Transport: &toPostHog, Logger: quiet{}, BatchSize: 250})
	must(b, err)
	handlers := []saleHandler{
		handler("bare handler", plain, func(int) {}, func(_ *http.Request, _, email string) error { sinkString = email; return nil }),
		handler("fprom middleware", nethttpadapter.Middleware(t), func(n int) {
			if queued := t.Stats().Enqueued - service.fillers; queued != uint64(n) {
				b.Errorf("%d of %d sales were queued", queued, n)
			}
			shutdown(t)
		}, func(r *http.Request, id, email string) error {
			return fprom.Record(r.Context(), fprom.Sale{EventID: id, Email: email, Amount: 1999, Currency: "USD", Plan: "pro"})
		}),
		handler("analytics-go", plain, func(n int) { _ = seg.Close(); arrived("Segment", &toSegment, n) }, func(_ *http.Request, id, email string) error {
			return seg.Enqueue(analytics.Track{
				MessageId: id, UserId: email, Event: "sale",
				Properties: analytics.NewProperties().SetRevenue(19.99).SetCurrency("USD").Set("plan", "pro"),
			})
		}),
		handler("posthog-go", plain, func(n int) { _ = ph.Close(); arrived("PostHog", &toPostHog, n) }, func(_ *http.Request, id, email string) error {
			return ph.Enqueue(posthog.Capture{
				DistinctId: email, Event: "sale",
				Properties: posthog.NewProperties().Set("revenue", 19.99).Set("currency", "USD").Set("plan", "pro").Set("id", id),
			})
		}),
	}
	handlers[1].prepare = func(int) { service.drain(b, t) }
	return handlers
}

// BenchmarkMiddlewareGin: Gin's engine bare, with the middleware and nothing recorded, and with a sale recorded.
func BenchmarkMiddlewareGin(b *testing.B) {
	const n, rounds = 10_000, 15
	gin.SetMode(gin.ReleaseMode)
	service := &gate{open: make(chan struct{})}
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: service}, Timeout: time.Hour})
	defer shutdown(t)
	at := 0
	sale := func(c *gin.Context) {
		id := saleID(at)
		at++
		if err := ginadapter.Record(c, fprom.Sale{EventID: id, Email: id[3:] + "@example.com", Amount: 1999, Currency: "USD", Plan: "pro"}); err != nil {
			b.Error(err)
		}
	}
	engine := func(hs ...gin.HandlerFunc) func(int) {
		e := gin.New()
		e.POST("/checkout", append(hs, func(c *gin.Context) { _, _ = c.Writer.Write(ok) })...)
		return serve(e)
	}
	bareID := func(*gin.Context) { id := saleID(at); sinkString = id[3:] + "@example.com" }
	race(b, rounds, n,
		contender{name: "bare Gin", run: engine()},
		contender{name: "fprom middleware", run: engine(ginadapter.Middleware(t))},
		contender{name: "bare Gin, id and address made", run: engine(bareID)},
		contender{name: "fprom middleware, a sale", prepare: func(int) { service.drain(b, t) }, run: engine(ginadapter.Middleware(t), sale)},
	)
	if queued := t.Stats().Enqueued - service.fillers; queued != n*(rounds+1) {
		b.Errorf("%d of %d sales were queued", queued, n*(rounds+1))
	}
}

var sinkString string

// discard answers every call of an analytics client at once, and counts the events in it.
type discard struct{ events atomic.Int64 }

func (d *discard) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	d.events.Add(int64(bytes.Count(body, []byte(`"plan":"pro"`))))
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
