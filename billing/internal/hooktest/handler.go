package hooktest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

// Sink is an Enqueuer that keeps what it accepts, by Message.Key, as a tracker's dedupe does.
type Sink struct {
	Err error // what Enqueue answers

	mu     sync.Mutex
	events []fprom.Event
	keys   map[string]bool
}

// Enqueue implements fprom.Enqueuer.
func (s *Sink) Enqueue(_ context.Context, events ...fprom.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		m, err := fprom.NewMessage(e)
		if err != nil {
			return err
		}
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
	t.Helper()
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
