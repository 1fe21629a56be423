package nethttpadapter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fprom-go/fprom/internal/adaptertest"
)

// opaque hides what its writer has, but not the writer.
type opaque struct{ http.ResponseWriter }

func (o opaque) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func inOpaque(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(opaque{w}, r) })
}

// TestFlushBelow: http.ResponseController finds a Flush below an original that has none; the event is stored before.
func TestFlushBelow(t *testing.T) {
	t.Parallel()
	adaptertest.Check(t, wrap, adaptertest.Case{
		Handler: func(w http.ResponseWriter, r *http.Request) {
			adaptertest.Sell(r, "1")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		},
		Outer:      inOpaque,
		Want:       []string{"stored sale:1", "status 200"},
		WantStatus: http.StatusOK,
	})
}

// TestHijackBelow: http.ResponseController finds a Hijack below an original that has none; a hijacked request is no sale.
func TestHijackBelow(t *testing.T) {
	t.Parallel()
	adaptertest.Check(t, wrap, adaptertest.Case{
		Handler: func(w http.ResponseWriter, r *http.Request) {
			adaptertest.Sell(r, "1")
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, "HTTP/1.1 402 Payment Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		},
		Outer:      inOpaque,
		Want:       []string{"status 402", "discarded sale:1: fprom: the handler took the connection over…"},
		WantStatus: http.StatusPaymentRequired,
	})
}

// TestFlushUnsupported: a Flush that does not exist decides nothing.
func TestFlushUnsupported(t *testing.T) {
	t.Parallel()
	adaptertest.Check(t, wrap, adaptertest.Case{
		Handler: func(w http.ResponseWriter, r *http.Request) {
			adaptertest.Sell(r, "1")
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("error %v, want ErrNotSupported", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
		Outer: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
			})
		},
		Want:       []string{"discarded sale:1", "status 502"},
		WantStatus: http.StatusBadGateway,
	})
}

// TestEarlyHints: 103 leaves at once and decides nothing.
func TestEarlyHints(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{http.StatusOK: "stored sale:1", http.StatusBadGateway: "discarded sale:1"} {
		adaptertest.Check(t, wrap, adaptertest.Case{
			Handler: func(w http.ResponseWriter, r *http.Request) {
				adaptertest.Sell(r, "1")
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(status)
			},
			Want:       []string{"status 103", want, fmt.Sprint("status ", status)},
			WantStatus: status,
		})
	}
}

// TestSwitchingProtocols: 101 is final, and no sale. The log says so: a WebSocket library may send it before it hijacks the connection.
func TestSwitchingProtocols(t *testing.T) {
	t.Parallel()
	adaptertest.Check(t, wrap, adaptertest.Case{
		Handler: func(w http.ResponseWriter, r *http.Request) {
			adaptertest.Sell(r, "1")
			w.WriteHeader(http.StatusSwitchingProtocols)
		},
		Want:       []string{"discarded sale:1: fprom: the handler took the connection over…", "status 101"},
		WantStatus: http.StatusSwitchingProtocols,
	})
}

// sourceSeen is a ResponseWriter that keeps what it should read from.
type sourceSeen struct {
	http.ResponseWriter
	source io.Reader
}

func (s *sourceSeen) ReadFrom(r io.Reader) (int64, error) {
	s.source = r
	return s.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
}

// TestSendfile: a file that follows a status reaches net/http's ReadFrom as it is, so that the kernel can copy it.
func TestSendfile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "invoice.pdf")
	content := bytes.Repeat([]byte("invoice "), 4096)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var seen sourceSeen
	tracker, j := adaptertest.NewTracker(t, false)
	h := wrap(tracker, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		adaptertest.Sell(r, "1")
		f, err := os.Open(name)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		w.WriteHeader(http.StatusOK)              // as http.ServeContent does
		_, _ = io.Copy(w, struct{ io.Reader }{f}) // without the file's own WriteTo
		_, _ = io.Copy(w, io.LimitReader(f, 10))
	}))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.ResponseWriter = w
		h.ServeHTTP(&seen, r)
	}))
	defer s.Close()
	if got := get(t, s, nil); !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, want %d", len(got), len(content))
	}
	if l, ok := seen.source.(*io.LimitedReader); !ok {
		t.Errorf("ReadFrom got a %T", seen.source)
	} else if _, ok := l.R.(*os.File); !ok {
		t.Errorf("ReadFrom got a LimitedReader of a %T", l.R)
	}
	if got := j.Entries(); !slices.Equal(got, []string{"stored sale:1"}) {
		t.Errorf("happened %q", got)
	}
}

func get(t *testing.T, s *httptest.Server, trace *httptrace.ClientTrace) []byte {
	t.Helper()
	ctx := t.Context()
	if trace != nil {
		ctx = httptrace.WithClientTrace(ctx, trace)
	}
	_, body, err := fetch(ctx, t, s)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// fetch returns the response to a GET, and its body as far as it came; err says why it came no further.
func fetch(ctx context.Context, t *testing.T, s *httptest.Server) (res *http.Response, body []byte, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if res, err = s.Client().Do(r); err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res, body, err
}

// TestEarlyHintsArrive: the client gets the informational response with its header.
func TestEarlyHintsArrive(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(wrap(nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</app.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
	})))
	defer s.Close()
	var link string
	get(t, s, &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
		link = h.Get("Link")
		return nil
	}})
	if link != "</app.css>; rel=preload" {
		t.Errorf("early hint %q", link)
	}
}

// TestMultipartFiles: the temporary files of an upload are removed. net/http removes them for the request it made, and
// the handler parses into a copy of that.
func TestMultipartFiles(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	part, err := mw.CreateFormFile("logo", "logo.png")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(make([]byte, 1<<16))
	mw.Close()
	files := func() int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	s := httptest.NewServer(wrap(nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(0); err != nil || files() != 1 {
			t.Errorf("parsed with error %v into %d files, want 1", err, files())
		}
	})))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, &form)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", mw.FormDataContentType())
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	s.Close() // waits for the request's end
	if n := files(); n != 0 {
		t.Errorf("%d temporary files left", n)
	}
}

// TestHTTP2: the handler's writer has what an HTTP/2 server's has, and the rules are the same.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	tracker, j := adaptertest.NewTracker(t, false)
	s := httptest.NewUnstartedServer(wrap(tracker, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, flush := w.(http.Flusher)
		_, push := w.(http.Pusher)
		_, _, err := w.(http.Hijacker).Hijack()
		if r.ProtoMajor != 2 || !flush || !push || !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("%s: Flusher %v, Pusher %v, Hijack %v", r.Proto, flush, push, err)
		}
		adaptertest.Sell(r, "1")
		w.(http.Flusher).Flush()
		if got := j.Entries(); !slices.Equal(got, []string{"stored sale:1"}) {
			t.Errorf("happened before the header left: %q", got)
		}
		_, _ = io.WriteString(w, "thank you")
	})))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	if got := get(t, s, nil); string(got) != "thank you" {
		t.Errorf("read %q", got)
	}
}

// TestPanicValue: what the server sees of a panic is what the handler threw.
func TestPanicValue(t *testing.T) {
	t.Parallel()
	thrown := errors.New("thrown")
	defer func() {
		if got := recover(); got != thrown { //nolint:errorlint // the very value
			t.Errorf("recovered %v, want %v", got, thrown)
		}
	}()
	h := wrap(nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(thrown) }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
}

// sizes notes how much each Write gets.
type sizes struct {
	http.ResponseWriter

	writes []int
}

func (s *sizes) Write(p []byte) (int, error) {
	s.writes = append(s.writes, len(p))
	return s.ResponseWriter.Write(p)
}

// TestCopyWithoutReadFrom: an original without ReadFrom, as HTTP/2's, gets the bytes in the same pieces as without the middleware:
// HTTP/2 fails at a large piece after a small one if the request is a HEAD.
func TestCopyWithoutReadFrom(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(w, struct{ io.Reader }{bytes.NewReader(make([]byte, 100_000))}); err != nil {
			t.Error(err)
		}
	})
	tracker, _ := adaptertest.NewTracker(t, false)
	bare, wrapped := &sizes{ResponseWriter: httptest.NewRecorder()}, &sizes{ResponseWriter: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", http.NoBody)
	handler.ServeHTTP(bare, r)
	wrap(tracker, handler).ServeHTTP(wrapped, r)
	if !slices.Equal(bare.writes, wrapped.writes) {
		t.Errorf("writes of %v bytes, want %v", wrapped.writes, bare.writes)
	}
}
