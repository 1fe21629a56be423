package nethttpadapter_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// nullWriter has what the ResponseWriter of net/http's HTTP/1 server has, and does nothing.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header                 { return w.header }
func (w *nullWriter) Write(p []byte) (int, error)         { return len(p), nil }
func (w *nullWriter) WriteHeader(int)                     {}
func (w *nullWriter) Flush()                              {}
func (w *nullWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }
func (w *nullWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, http.ErrNotSupported
}
func (w *nullWriter) CloseNotify() <-chan bool { return nil }

func exchange(tb testing.TB) (http.ResponseWriter, *http.Request) {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/checkout", http.NoBody)
	r.Header.Set("Cookie", "session=8f14e45f; _fprom_tid=9f1c0f4e-6a44-4d0c-9a0b-0d5b1f4d2c11")
	return &nullWriter{header: http.Header{}}, r
}

// hanging is a FirstPromoter that never answers, so that only the request's side is measured.
type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// newTracker can store n sales.
func newTracker(tb testing.TB, n int) *fprom.Tracker {
	tb.Helper()
	tracker, err := fprom.New(fprom.Config{
		APIKey: "test", AccountID: "1", BaseURL: "http://127.0.0.1:1",
		HTTPClient: &http.Client{Transport: hanging{}},
		Queue:      fprom.NewMemoryQueue(n),
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = tracker.Shutdown(ctx) // nothing is ever delivered, so there is nothing to wait for
	})
	return tracker
}

var thanks = []byte("thank you")

func plain(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(thanks) }

// sellingOf records a sale with a new id from ids for each request.
func sellingOf(ids []string) http.HandlerFunc {
	at := 0
	return func(w http.ResponseWriter, r *http.Request) {
		at++
		err := fprom.Record(r.Context(), fprom.Sale{EventID: ids[at-1], Email: "ann@example.com", Amount: 4900, Currency: "USD"})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(thanks)
	}
}

func saleIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("ch_%012d", i)
	}
	return ids
}

type ctxKey struct{}

// withContext is the least that a middleware does which gives the request a value.
func withContext(w http.ResponseWriter, r *http.Request) {
	next(w, r.WithContext(context.WithValue(r.Context(), ctxKey{}, w)))
}

var next = plain // not known to the compiler

// BenchmarkMiddleware compares with a middleware that gives the request a value by context, as most do.
func BenchmarkMiddleware(b *testing.B) {
	wrap := nethttpadapter.Middleware(nil)
	for _, bb := range []struct {
		name    string
		handler http.Handler
	}{
		{"bare", http.HandlerFunc(plain)},
		{"wrapped", wrap(http.HandlerFunc(plain))},
		{"with-context", http.HandlerFunc(withContext)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w, r := exchange(b)
			b.ReportAllocs()
			for b.Loop() {
				bb.handler.ServeHTTP(w, r)
			}
		})
	}
	b.Run("sale", func(b *testing.B) {
		w, r := exchange(b)
		h := nethttpadapter.Middleware(newTracker(b, b.N))(sellingOf(saleIDs(b.N)))
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			h.ServeHTTP(w, r)
		}
	})
}
