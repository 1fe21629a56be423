package adaptertest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/fprom-go/fprom"
)

// Memory checks that requests leave nothing in memory: the heap does not grow with nested middlewares, and a request that is still
// running does not keep finished ones. It measures the whole process, so the test must not be parallel.
func Memory(t *testing.T, wrap Wrap) {
	t.Helper()
	t.Run("nested on one CPU", func(t *testing.T) { nestedOnOneCPU(t, wrap) })
	t.Run("uploads beside an open stream", func(t *testing.T) { besideAStream(t, wrap) })
}

// MemoryBuffered is Memory for an adapter that gets no net/http request and so cannot keep one.
func MemoryBuffered(t *testing.T, wrap Wrap) {
	t.Helper()
	t.Run("nested on one CPU", func(t *testing.T) { nestedOnOneCPU(t, wrap) })
}

func nestedOnOneCPU(t *testing.T, wrap Wrap) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	none := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	single := wrap(nil, none)
	both := wrap(nil, wrap(nil, none))
	before := heap()
	single.ServeHTTP(httptest.NewRecorder(), newRequest(t)) // a health check, which passes only one of the middlewares
	for range 20_000 {
		both.ServeHTTP(httptest.NewRecorder(), newRequest(t))
	}
	if grown := heap() - before; grown > 4<<20 {
		t.Errorf("the heap has grown by %d bytes in 20,000 requests", grown)
	}
}

func besideAStream(t *testing.T, wrap Wrap) {
	t.Helper()
	const size, streams = 1 << 20, 4
	type upload struct{}
	parsed := wrap(nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Context().Value(upload{}) == nil {
			panic("no upload")
		}
	}))
	open, done := make(chan struct{}), make(chan struct{})
	stream := wrap(nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		open <- struct{}{}
		<-done
		_ = fprom.Record(r.Context()) // the request is in use until here
	}))
	before := heap()
	for range streams {
		go stream.ServeHTTP(httptest.NewRecorder(), newRequest(t))
		<-open
		for range 15 {
			r := newRequest(t)
			parsed.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), upload{}, make([]byte, size))))
		}
	}
	if kept := heap() - before; kept > 4*size {
		t.Errorf("%d open streams keep %d bytes of %d uploads that are over", streams, kept, 15*streams)
	}
	close(done)
}

func newRequest(t *testing.T) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout", io.NopCloser(http.NoBody))
}

// heap returns the reachable bytes, including what pools still hold.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
