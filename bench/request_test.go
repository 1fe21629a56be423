//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"
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
// Goal: the wrapped handler differs from the bare one by no more than the noise. A sale is work for the processor, which an
// empty handler shows: see BenchmarkCheckout for what a customer waits for.
func BenchmarkRequest(b *testing.B) {
	n, rounds := pick(2000, 100), pick(41, 3)
	service := &gate{open: make(chan struct{})}
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: service}, Timeout: time.Hour})
	defer shutdown(t)
	cs, sold := requests(b, t)
	cs[3].prepare = func(int) { service.drain(b, t) }
	race(b, rounds, n, cs...)
	if queued := t.Stats().Enqueued - service.fillers; queued != sold.Load() {
		b.Errorf("%d of %d sales were queued", queued, sold.Load())
	}
}

// requests are the contenders, and how many sales the last one has recorded. All make an id and an address.
func requests(b *testing.B, t *fprom.Tracker) (cs []contender, sold *atomic.Uint64) {
	b.Helper()
	sold = new(atomic.Uint64)
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
		{name: "bare handler", run: overLoopback(b, bare)},
		{name: "bare handler again", run: overLoopback(b, bare)},
		{name: "fprom middleware", run: overLoopback(b, wrap(bare))},
		{name: "fprom middleware, a sale", run: overLoopback(b, wrap(sale))},
	}, sold
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
