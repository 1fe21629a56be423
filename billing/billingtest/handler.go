package billingtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Sink is an Enqueuer for tests that keeps the events in memory. Like a Tracker it keeps an event id once, and returns a
// *fprom.ConflictError for an event id that comes again with another amount or currency; the other events are kept.
type Sink struct {
	Err error // Enqueue returns it, and keeps nothing

	mu      sync.Mutex
	events  []fprom.Event
	digests map[string]uint64 // by Message.Key
}

// Enqueue implements fprom.Enqueuer.
func (s *Sink) Enqueue(_ context.Context, events ...fprom.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Err != nil {
		return s.Err
	}
	messages := make([]fprom.Message, len(events))
	for i, e := range events {
		m, err := fprom.NewMessage(e)
		if err != nil {
			return err
		}
		messages[i] = m
	}
	if s.digests == nil {
		s.digests = map[string]uint64{}
	}
	conflict := &fprom.ConflictError{}
	for i, m := range messages {
		digest, known := s.digests[m.Key]
		switch {
		case !known:
			s.digests[m.Key] = m.Digest
			s.events = append(s.events, events[i])
		case digest != m.Digest:
			conflict.Keys = append(conflict.Keys, m.Key)
		}
	}
	if len(conflict.Keys) > 0 {
		return conflict
	}
	return nil
}

// Events returns the accepted events.
func (s *Sink) Events() []fprom.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Printer returns an Enqueuer for examples. It writes the request of each event to w, one line for each.
func Printer(w io.Writer) fprom.Enqueuer { return printer{w} }

type printer struct{ w io.Writer }

func (p printer) Enqueue(_ context.Context, events ...fprom.Event) error {
	for _, e := range events {
		m, err := fprom.NewMessage(e)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(p.w, "POST /%s %s\n", m.Kind, m.Body); err != nil {
			return err
		}
	}
	return nil
}

// Quiet returns an option that discards the log.
func Quiet() billing.Option { return billing.WithLogger(slog.New(slog.DiscardHandler)) }

// Post sends body to h and returns the status. change may alter the request before; it may be nil.
func Post(h http.Handler, body []byte, change func(*http.Request)) int {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/webhook", bytes.NewReader(body))
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// HandlerTable checks the answers of the handler and the events that it accepts.
func (s Suite) HandlerTable(t *testing.T) {
	t.Helper()
	v, options := s.of(s.Sale)
	refused := cmp.Or(v.Refused, http.StatusUnauthorized)
	sale, secret, nothing := Read(t, s.Sale), s.secret(0), []byte(cmp.Or(s.Nothing, "{}"))
	by := func(secret string, body []byte) func(*http.Request) {
		return func(r *http.Request) { s.Sign(r.Header, body, secret) }
	}
	sign := by(secret, sale)
	for _, tt := range []struct {
		name   string
		body   []byte
		change func(*http.Request)
		err    error // of Enqueue
		opts   []billing.Option
		want   int
		events int
	}{
		{name: "signed", body: sale, change: sign, want: 200, events: 1},
		{name: "unsigned", body: sale, want: refused},
		{name: "wrong secret", body: sale, change: by(s.secret(1), sale), want: refused},
		{name: "changed body", body: append(slices.Clone(sale), ' '), change: sign, want: refused},
		{name: "empty body", change: by(secret, nil), want: refused},
		{name: "forged before the true one", body: sale, change: func(r *http.Request) {
			s.Sign(r.Header, sale, s.secret(1))
			right := http.Header{}
			s.Sign(right, sale, secret)
			for name, values := range right {
				r.Header[name] = append(r.Header[name], values...)
			}
		}, want: refused},
		{name: "rotated secret", body: sale, change: by(s.secret(2), sale), opts: []billing.Option{billing.WithSecrets(s.secret(2))}, want: 200, events: 1},
		{name: "not in rotation", body: sale, change: by(s.secret(1), sale), opts: []billing.Option{billing.WithSecrets(s.secret(2))}, want: refused},
		{name: "empty secret in rotation", body: sale, change: by("", sale), opts: []billing.Option{billing.WithSecrets("")}, want: refused},
		{name: "not a POST", body: sale, change: func(r *http.Request) { sign(r); r.Method = http.MethodGet }, want: 405},
		{name: "too large", body: make([]byte, 2<<20), change: sign, want: 413},
		{name: "body cut off", body: sale, change: func(r *http.Request) { sign(r); r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)) }, want: 400},
		{name: "queue full", body: sale, change: sign, err: fprom.ErrQueueFull, want: 503},
		{name: "no tracker", body: sale, change: sign, err: fprom.ErrNoTracker, want: 200},
		{name: "conflict", body: sale, change: sign, err: fprom.ErrConflict, want: 200},
		{name: "not JSON", body: []byte("{"), change: by(secret, []byte("{")), want: 422},
		{name: "not money", body: nothing, change: by(secret, nothing), want: 200},
	} {
		if s.SharedSecret && tt.name == "changed body" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sink := &Sink{Err: tt.err}
			h := billing.Handler(sink, v, secret, slices.Concat(options, []billing.Option{Quiet()}, tt.opts)...)
			if got := Post(h, tt.body, tt.change); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
			if got := sink.Events(); len(got) != tt.events {
				t.Errorf("accepted %v, want %d events", got, tt.events)
			}
		})
	}
	t.Run("no secret", func(t *testing.T) {
		t.Parallel()
		h := billing.Handler(&Sink{}, v, "", append(options, Quiet())...)
		if got := Post(h, sale, by("", sale)); got != refused {
			t.Errorf("status %d, want %d", got, refused)
		}
	})
	t.Run("nil tracker", func(t *testing.T) {
		t.Parallel()
		h := billing.Handler(nil, v, secret, append(options, Quiet())...)
		if got := Post(h, sale, sign); got != http.StatusOK {
			t.Errorf("status %d, want 200", got)
		}
	})
}

// Deliver signs the fixtures, posts them to one handler in this order, and returns the accepted events.
func (s Suite) Deliver(t *testing.T, fixtures []string, opts ...billing.Option) []fprom.Event {
	t.Helper()
	sink := &Sink{}
	h := billing.Handler(sink, s.Provider, s.secret(0), append(opts, Quiet())...)
	for _, name := range fixtures {
		body := Read(t, name)
		if got := Post(h, body, func(r *http.Request) { s.Sign(r.Header, body, s.secret(0)) }); got != http.StatusOK {
			t.Errorf("%s: status %d, want 200", name, got)
		}
	}
	return sink.Events()
}
