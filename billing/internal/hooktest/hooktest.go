// Package hooktest is the test suite that every billing provider passes.
package hooktest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// Suite is one provider as the suite sees it.
type Suite struct {
	Handler func(t fprom.Enqueuer, secret string, opts ...convert.Option) http.Handler
	Events  func(payload []byte, opts ...convert.Option) ([]fprom.Event, error)
	Explain func(payload []byte, opts ...convert.Option) convert.Explanation
	Sign    func(h http.Header, body []byte, secret string) // signs for the present moment
	Refused int                                             // the status of a wrong signature
	Sale    string                                          // the fixture of one plain sale, such as "subscription.json"
	Options func(fixture string) []convert.Option           // options that a fixture needs; nil: none
}

func (s Suite) options(fixture string) []convert.Option {
	if s.Options == nil {
		return nil
	}
	return s.Options(fixture)
}

// Read is the content of a file in testdata.
func Read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name)) //nolint:gosec // a file of the test
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Golden compares what every testdata/*.json is explained as, and what is posted for it, with testdata/*.golden. Run it
// with -update to rewrite those.
func (s Suite) Golden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			t.Parallel()
			got := s.render(t, Read(t, name), s.options(name))
			golden := strings.TrimSuffix(name, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(filepath.Join("testdata", golden), []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(Read(t, golden)); got != want {
				t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
			}
		})
	}
}

func (s Suite) render(t *testing.T, payload []byte, opts []convert.Option) string {
	t.Helper()
	x := s.Explain(payload, opts...)
	events, err := s.Events(payload, opts...)
	if !errors.Is(err, x.Err) && err.Error() != x.Err.Error() {
		t.Errorf("Events says %v, Explain %v", err, x.Err)
	}
	if !slices.Equal(events, x.Events()) {
		t.Errorf("Events gives %v, Explain %v", events, x.Events())
	}
	var b strings.Builder
	b.WriteString(x.String())
	for _, e := range events {
		m, err := fprom.NewMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("POST /" + m.Kind + " " + string(m.Body) + "\n")
	}
	return b.String()
}

// Sink is an Enqueuer that keeps what it accepts, by Message.Key, as a tracker's dedupe does.
type Sink struct {
	Err error // what Enqueue answers

	mu     sync.Mutex
	events []fprom.Event
	keys   map[string]bool
}

// Enqueue implements fprom.Enqueuer.
func (s *Sink) Enqueue(_ context.Context, e fprom.Event) error {
	m, err := fprom.NewMessage(e)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Err != nil {
		return s.Err
	}
	if s.keys == nil {
		s.keys = map[string]bool{}
	}
	if !s.keys[m.Key] {
		s.keys[m.Key] = true
		s.events = append(s.events, e)
	}
	return nil
}

// Events is what was accepted so far.
func (s *Sink) Events() []fprom.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Quiet is an option that logs nowhere.
func Quiet() convert.Option {
	return func(c *convert.Config) { c.Logger = slog.New(slog.DiscardHandler) }
}

// Post sends body to h, after change (may be nil) has altered the request, and returns the status.
func Post(h http.Handler, body []byte, change func(*http.Request)) int {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/webhook", bytes.NewReader(body))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

const secret = "whsec_test_0123456789"

// HandlerTable checks what the handler answers, and what it accepts.
func (s Suite) HandlerTable(t *testing.T) {
	sale := Read(t, s.Sale)
	sign := func(r *http.Request) { s.Sign(r.Header, sale, secret) }
	for _, tt := range []struct {
		name   string
		body   []byte
		change func(*http.Request)
		err    error // of Enqueue
		opts   []convert.Option
		want   int
		events int
	}{
		{name: "signed", body: sale, change: sign, want: 200, events: 1},
		{name: "unsigned", body: sale, want: s.Refused},
		{name: "wrong secret", body: sale, change: func(r *http.Request) { s.Sign(r.Header, sale, "another") }, want: s.Refused},
		{name: "changed body", body: append(slices.Clone(sale), ' '), change: sign, want: s.Refused},
		{
			name: "rotated secret", body: sale, change: func(r *http.Request) { s.Sign(r.Header, sale, "older") }, want: 200, events: 1,
			opts: []convert.Option{func(c *convert.Config) { c.Secrets = append(c.Secrets, "older") }},
		},
		{
			name: "empty secret", body: sale, change: sign, want: s.Refused,
			opts: []convert.Option{func(c *convert.Config) { c.Secrets = []string{""} }},
		},
		{name: "not a POST", body: sale, change: func(r *http.Request) { sign(r); r.Method = http.MethodGet }, want: 405},
		{name: "too large", body: make([]byte, convert.MaxBody+1), change: sign, want: 413},
		{name: "body cut off", body: sale, change: func(r *http.Request) { sign(r); r.Body = io.NopCloser(cut{}) }, want: 400},
		{name: "queue full", body: sale, change: sign, err: fprom.ErrQueueFull, want: 503},
		{name: "no tracker", body: sale, change: sign, err: fprom.ErrNoTracker, want: 200},
		{name: "conflict", body: sale, change: sign, err: fprom.ErrConflict, want: 200},
		{name: "not JSON", body: []byte("{"), change: func(r *http.Request) { s.Sign(r.Header, []byte("{"), secret) }, want: 422},
		{name: "not money", body: []byte("{}"), change: func(r *http.Request) { s.Sign(r.Header, []byte("{}"), secret) }, want: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sink := &Sink{Err: tt.err}
			opts := append(append(s.options(s.Sale), Quiet()), tt.opts...)
			h := s.Handler(sink, secret, opts...)
			if got := Post(h, tt.body, tt.change); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
			if got := sink.Events(); len(got) != tt.events {
				t.Errorf("accepted %v, want %d events", got, tt.events)
			}
		})
	}
	t.Run("nil tracker", func(t *testing.T) {
		t.Parallel()
		h := s.Handler(nil, secret, append(s.options(s.Sale), Quiet())...)
		if got := Post(h, sale, sign); got != http.StatusOK {
			t.Errorf("status %d, want 200", got)
		}
	})
}

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Deliver posts the fixtures, signed, to one handler in this order, and returns what was accepted.
func (s Suite) Deliver(t *testing.T, fixtures []string, opts ...convert.Option) []fprom.Event {
	t.Helper()
	sink := &Sink{}
	h := s.Handler(sink, secret, append(opts, Quiet())...)
	for _, name := range fixtures {
		body := Read(t, name)
		if got := Post(h, body, func(r *http.Request) { s.Sign(r.Header, body, secret) }); got != http.StatusOK {
			t.Errorf("%s: status %d, want 200", name, got)
		}
	}
	return sink.Events()
}

// FuzzEvents checks that no payload makes Events panic or give an event that is not valid.
func (s Suite) FuzzEvents(f *testing.F, opts ...convert.Option) {
	s.seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		events, err := s.Events(payload, opts...)
		if err != nil && len(events) > 0 {
			t.Errorf("both events and %v", err)
		}
		for _, e := range events {
			if err := e.Validate(); err != nil {
				t.Errorf("%#v: %v", e, err)
			}
		}
	})
}

// FuzzHandler checks that no unsigned bytes lead to an event, whatever the signature header says.
func (s Suite) FuzzHandler(f *testing.F, header string) {
	signed := http.Header{}
	s.Sign(signed, []byte("{}"), "another")
	for _, b := range s.fixtures(f) {
		f.Add(b, signed.Get(header))
		f.Add(b, "")
	}
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		sink := &Sink{}
		h := s.Handler(sink, secret, Quiet())
		status := Post(h, body, func(r *http.Request) {
			s.Sign(r.Header, []byte("{}"), "another")
			r.Header.Set(header, signature)
		})
		if len(sink.Events()) > 0 || status == http.StatusOK {
			t.Errorf("status %d, accepted %v", status, sink.Events())
		}
	})
}

func (s Suite) seed(f *testing.F) {
	for _, b := range s.fixtures(f) {
		f.Add(b)
	}
	f.Add([]byte("null"))
	f.Add([]byte("[]"))
}

func (s Suite) fixtures(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	var out [][]byte
	for _, file := range files {
		out = append(out, Read(f, filepath.Base(file)))
	}
	return out
}
