package nethttpadapter_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
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

func (r readerFrom) ReadFrom(src io.Reader) (int64, error) {
	*r.calls = append(*r.calls, "ReadFrom")
	return io.Copy(io.Discard, src)
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

// TestOptionalMethods: the handler's writer has Flush where the original has it, and Hijack, ReadFrom, Push and CloseNotify
// reach the original's.
func TestOptionalMethods(t *testing.T) {
	t.Parallel()
	var calls []string
	b, f, h, r, p, n := basic{&calls}, flusher{&calls}, hijacker{&calls}, readerFrom{&calls}, pusher{&calls}, closeNotify{&calls}
	for _, c := range []struct {
		name     string
		original http.ResponseWriter
		want     []string
	}{
		{"nothing", b, nil},
		{"HTTP/1", struct {
			basic
			flusher
			hijacker
			readerFrom
			closeNotify
		}{b, f, h, r, n}, []string{"Flush", "Hijack", "ReadFrom", "CloseNotify"}},
		{"HTTP/2", struct {
			basic
			flusher
			pusher
			closeNotify
		}{b, f, p, n}, []string{"Flush", "Push", "CloseNotify"}},
		{"a status recorder with Flush", struct {
			basic
			flusher
		}{b, f}, []string{"Flush"}},
		{"a status recorder with Hijack", struct {
			basic
			hijacker
		}{b, h}, []string{"Hijack"}},
	} {
		calls = nil
		nethttpadapter.Middleware(nil)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); !ok || u.Unwrap() != c.original {
				t.Errorf("%s: Unwrap does not lead to the original", c.name)
			}
			if _, flush := w.(http.Flusher); flush != slices.Contains(c.want, "Flush") {
				t.Errorf("%s: Flusher %v", c.name, flush)
			}
			callOptionals(t, w)
		})).ServeHTTP(c.original, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		if !slices.Equal(calls, c.want) {
			t.Errorf("%s: reached %q, want %q", c.name, calls, c.want)
		}
	}
}

// callOptionals calls the optional methods that w has.
func callOptionals(t *testing.T, w http.ResponseWriter) {
	t.Helper()
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	if _, _, err := w.(http.Hijacker).Hijack(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("Hijack: %v", err)
	}
	if n, err := io.Copy(w, io.LimitReader(strings.NewReader("ok"), 2)); n != 2 || err != nil {
		t.Errorf("ReadFrom: %d, %v", n, err)
	}
	if err := w.(http.Pusher).Push("/app.css", nil); err != nil && !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("Push: %v", err)
	}
	w.(closeNotifier).CloseNotify()
}
