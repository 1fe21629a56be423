package nethttpadapter_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/fprom-go/fprom/nethttpadapter"
)

// The optional methods of a ResponseWriter, each of which says when it is called.
type (
	basic       struct{ calls *[]string }
	flusher     struct{ calls *[]string }
	hijacker    struct{ calls *[]string }
	readerFrom  struct{ calls *[]string }
	pusher      struct{ calls *[]string }
	closeNotify struct{ calls *[]string }
)

func (b basic) Header() http.Header         { return http.Header{} }
func (b basic) Write(p []byte) (int, error) { return len(p), nil }
func (b basic) WriteHeader(int)             {}

func (f flusher) Flush() { *f.calls = append(*f.calls, "Flush") }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	*h.calls = append(*h.calls, "Hijack")
	return nil, nil, nil
}

func (r readerFrom) ReadFrom(io.Reader) (int64, error) {
	*r.calls = append(*r.calls, "ReadFrom")
	return 0, nil
}

func (p pusher) Push(string, *http.PushOptions) error {
	*p.calls = append(*p.calls, "Push")
	return nil
}

func (c closeNotify) CloseNotify() <-chan bool {
	*c.calls = append(*c.calls, "CloseNotify")
	return nil
}

type closeNotifier interface{ CloseNotify() <-chan bool }

// optionals says which optional methods w has, and calls them.
func optionals(w http.ResponseWriter) []string {
	var has []string
	if f, ok := w.(http.Flusher); ok {
		has = append(has, "Flush")
		f.Flush()
	}
	if h, ok := w.(http.Hijacker); ok {
		has = append(has, "Hijack")
		_, _, _ = h.Hijack()
	}
	if r, ok := w.(io.ReaderFrom); ok {
		has = append(has, "ReadFrom")
		_, _ = r.ReadFrom(nil)
	}
	if p, ok := w.(http.Pusher); ok {
		has = append(has, "Push")
		_ = p.Push("/app.css", nil)
	}
	if c, ok := w.(closeNotifier); ok {
		has = append(has, "CloseNotify")
		c.CloseNotify()
	}
	return has
}

// TestOptionalMethods: the handler's writer has exactly the optional methods of the original, and they reach it.
func TestOptionalMethods(t *testing.T) {
	t.Parallel()
	var calls []string
	shared := nethttpadapter.Middleware(nil)
	for _, w := range writers(&calls) {
		calls = nil
		want := optionals(w)
		own := nethttpadapter.Middleware(nil) // remembers the first type it sees
		for _, middleware := range []func(http.Handler) http.Handler{shared, own, own} {
			calls = nil
			var has []string
			middleware(http.HandlerFunc(func(inner http.ResponseWriter, _ *http.Request) {
				has = optionals(inner)
				if u, ok := inner.(interface{ Unwrap() http.ResponseWriter }); !ok || u.Unwrap() != w {
					t.Errorf("%T: Unwrap does not lead to the original", w)
				}
			})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			if !slices.Equal(has, want) || !slices.Equal(calls, want) {
				t.Errorf("original has %q; wrapped has %q, and reached %q", want, has, calls)
			}
		}
	}
}
