//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// BenchmarkRequest: a whole request over loopback, with a handler that is bare, wrapped, or wrapped and records a sale. The
// bare handler runs twice: the difference between these two is the noise. One request follows the other at once, so the
// processors are never idle: the figures are what a request costs a server at its limit, work in the background included.
// Goal: the wrapped handler differs from the bare one by no more than the noise.
func BenchmarkRequest(b *testing.B) {
	n, rounds := pick(2000, 100), pick(41, 3)
	service := &gate{open: make(chan struct{})}
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: service}, Timeout: time.Hour})
	defer shutdown(t)
	cs, sold, _ := requests(b, t)
	cs[3].prepare = func(int) { service.drain(b, t) }
	race(b, rounds, n, cs...)
	if queued := t.Stats().Enqueued - service.fillers; queued != sold.Load() {
		b.Errorf("%d of %d sales were queued", queued, sold.Load())
	}
}

// BenchmarkRequestPaced: what a customer waits for: the same requests a millisecond apart, so that the processors have time
// for what is left to the background. That is still thirty times the sales that FirstPromoter takes, which answers at once
// here, under its own limit. The contenders are asked in turn, in another order each time. The code of a sale runs every few
// milliseconds, so that other programs have taken its place in the processor's caches: a busy machine shows in the figures.
// Goal: also a sale differs from the bare handler by no more than the noise.
func BenchmarkRequestPaced(b *testing.B) {
	n, rounds := pick(100, 10), pick(81, 3)
	service := &gate{open: make(chan struct{})}
	close(service.open)
	t := quietTracker(b, fprom.Config{HTTPClient: &http.Client{Transport: service}})
	defer shutdown(t)
	cs, sold, handled := requests(b, t)
	p50s, all, inside := make([][]float64, len(cs)), make([][]time.Duration, len(cs)), make([][]time.Duration, len(cs))
	for round := range rounds + 1 {
		took := make([][]time.Duration, len(cs))
		for range n {
			for _, i := range rand.Perm(len(cs)) {
				time.Sleep(time.Millisecond)
				start := time.Now()
				cs[i].run(1)
				took[i], inside[i] = append(took[i], time.Since(start)), append(inside[i], time.Duration(handled.Load()))
			}
		}
		for i := range cs {
			if round > 0 { // the first one warms up
				p50s[i], all[i] = append(p50s[i], float64(distOf(took[i]).at(0.5))), append(all[i], took[i]...)
			}
		}
	}
	rows := [][]string{{"contender", "p50", "× bare", "p99", "× bare", "p50 in the handler"}}
	floor := distOf(all[0]).at(0.99)
	for i, c := range cs {
		ratio := against(p50s[i], p50s[0])
		p99 := distOf(all[i]).at(0.99)
		rows = append(rows, []string{
			c.name, micros(time.Duration(middle(p50s[i]))), fmt.Sprintf("%.2f", ratio), micros(p99), fmt.Sprintf("%.2f", float64(p99)/float64(floor)),
			micros(distOf(inside[i]).at(0.5)),
		})
		metric(b, ratio, c.name, "floor")
	}
	if s := t.Stats(); s.Enqueued != sold.Load() || s.Tracked == 0 {
		b.Errorf("%d sold, %d accepted, %d delivered", sold.Load(), s.Enqueued, s.Tracked)
	}
	table(b, fmt.Sprintf("%d rounds of %d requests of each, 1 ms apart", rounds, n), rows)
}

// requests are the contenders of the two, how many sales the last one has recorded, and the nanoseconds that the last
// request was in its handler. All make an id and an address.
func requests(b *testing.B, t *fprom.Tracker) (cs []contender, sold *atomic.Uint64, handled *atomic.Int64) {
	b.Helper()
	sold, handled = new(atomic.Uint64), new(atomic.Int64)
	timed := func(h http.Handler) func(int) {
		return overLoopback(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			h.ServeHTTP(w, r)
			handled.Store(int64(time.Since(start)))
		}))
	}
	var bought atomic.Uint64
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sinkString = saleID(int(bought.Add(1)))[3:] + "@example.com"
		_, _ = w.Write(ok)
	})
	sale := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := saleID(int(sold.Add(1)))
		if err := fprom.Record(r.Context(), fprom.Sale{EventID: id, Email: id[3:] + "@example.com", Amount: 1999, Currency: "USD", Plan: "pro"}); err != nil {
			b.Error(err)
		}
		_, _ = w.Write(ok)
	})
	wrap := nethttpadapter.Middleware(t)
	return []contender{
		{name: "bare handler", run: timed(bare)},
		{name: "bare handler again", run: timed(bare)},
		{name: "fprom middleware", run: timed(wrap(bare))},
		{name: "fprom middleware, a sale", run: timed(wrap(sale))},
	}, sold, handled
}

// overLoopback serves h, and asks it one request after the other over one connection.
func overLoopback(b *testing.B, h http.Handler) func(int) {
	b.Helper()
	server := httptest.NewServer(h)
	b.Cleanup(server.Close)
	return func(n int) {
		for range n {
			must(b, ask(server, nil))
		}
	}
}

func ask(server *httptest.Server, body io.Reader) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL, body)
	if err != nil {
		return err
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// BenchmarkMemory: the heap that is in use after so many requests more, with a bare handler and with fprom around it: once,
// twice as where a router and a group have the middleware each, for streams and for uploads.
// Goal: the wrapped handlers leave as little behind as the bare ones.
func BenchmarkMemory(b *testing.B) {
	n := pick(20_000, 200)
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: hanging{}}, Timeout: time.Hour})
	defer shutdown(t)
	wrap := nethttpadapter.Middleware(t)
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(ok) })
	stream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 10 {
			_, _ = w.Write(ok)
			_ = http.NewResponseController(w).Flush()
		}
	})
	upload := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(ok)
	})
	rows := [][]string{{"load", "bare: heap before", "after", "fprom: heap before", "after"}}
	for _, load := range []struct {
		name    string
		handler http.Handler
		wrap    func(http.Handler) http.Handler
		body    string
	}{
		{"plain requests", answer, wrap, ""},
		{"nested middlewares", answer, func(h http.Handler) http.Handler { return wrap(wrap(h)) }, ""},
		{"streams of 10 chunks", stream, wrap, ""},
		{"uploads of 64 KiB", upload, wrap, strings.Repeat("x", 64<<10)},
	} {
		row := []string{load.name}
		for _, h := range []http.Handler{load.handler, load.wrap(load.handler)} {
			before, after := leftBehind(b, h, load.body, n)
			row = append(row, kib(before), kib(after))
			metric(b, float64(after-before)/float64(n), load.name, strconv.Itoa(len(row)/2), "B/request")
		}
		rows = append(rows, row)
	}
	table(b, fmt.Sprintf("after %s requests, and after %s more; %s", thousands(n/10), thousands(n), runtime.Version()), rows)
}

// leftBehind is the heap in use after a tenth of n requests, which warm up, and after n more.
func leftBehind(b *testing.B, h http.Handler, body string, n int) (before, after int64) {
	b.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	serve := func(n int) int64 {
		for range n {
			must(b, ask(server, strings.NewReader(body)))
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools hold goes with the second
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	return serve(n / 10), serve(n)
}

func kib(n int64) string { return fmt.Sprintf("%d KiB", n>>10) }
