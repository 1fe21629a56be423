package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// lateOutside: the handler returns normally after the http.TimeoutHandler around it has answered 503.
func lateOutside(t *testing.T, wrap Wrap, handler http.HandlerFunc, opts ...fprom.MiddlewareOption) {
	t.Helper()
	tracker, j := NewTracker(t, false)
	h := wrap(tracker, handler, opts...)
	done, told := make(chan struct{}), make(chan struct{})
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), answered{}, told)))
	})
	s := NewServer(t, http.TimeoutHandler(outer, 5*time.Millisecond, ""), j)
	if status, _ := do(t, s, ""); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	close(told)
	<-done
	want := []string{"discarded sale:1: fprom: the request's deadline passed…", "status 503"}
	if got := slices.Sorted(slices.Values(j.Entries())); !slices.EqualFunc(got, want, Matches) {
		t.Errorf("happened %q, want %q in any order", got, want)
	}
}

// abandoned: a middleware outside has answered while the handler goes on in a goroutine, with the server's own request. The race
// detector sees if the end of the handler writes to that.
func abandoned(t *testing.T, wrap Wrap) {
	t.Helper()
	answered, done := make(chan struct{}), make(chan struct{})
	h := wrap(nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-answered }))
	s := NewServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		go func() {
			defer close(done)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}()
	}), new(Journal))
	do(t, s, "")
	close(answered)
	<-done
}

// nested: with two middlewares of one tracker, an event is accepted once.
func nested(t *testing.T, wrap Wrap) {
	t.Helper()
	var got enqueuer
	h := wrap(&got, wrap(&got, answer(http.StatusOK)))
	s := NewServer(t, h, new(Journal))
	do(t, s, "")
	s.Close()
	if len(got.events) != 1 {
		t.Errorf("enqueued %d events, want 1", len(got.events))
	}
}

// enqueuer keeps all events, without the dedupe of a Tracker.
type enqueuer struct {
	events   []fprom.Event
	canceled []error
}

func (e *enqueuer) Enqueue(ctx context.Context, events ...fprom.Event) error {
	e.events = append(e.events, events...)
	e.canceled = append(e.canceled, ctx.Err())
	return nil
}

// clientGone: the customer has paid and closed the browser. The sale is accepted although nobody gets the response.
func clientGone(t *testing.T, wrap Wrap) {
	t.Helper()
	var got enqueuer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := wrap(&got, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
		Sell(r, "1")
	}))
	s := NewServer(t, h, new(Journal))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/checkout", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := s.Client().Do(r); err == nil {
		res.Body.Close()
		t.Error("the client got an answer")
	}
	s.Close()
	if len(got.events) != 1 || got.canceled[0] != nil {
		t.Errorf("enqueued %d events with contexts' errors %v, want 1 with none", len(got.events), got.canceled)
	}
}

// keepAlive: a request that a handler keeps never shows the data of a later request.
func keepAlive(t *testing.T, wrap Wrap) {
	t.Helper()
	const n = 40
	tracker, j := NewTracker(t, false)
	leaked := make([]*http.Request, n)
	h := wrap(tracker, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.URL.Query().Get("i"))
		if err != nil {
			panic(err)
		}
		leaked[i] = r
		Sell(r, strconv.Itoa(i))
	}))
	s := NewServer(t, h, j)
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint("stored sale:", i), "status 200")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprint(s.URL, "/?i=", i), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	s.Close()
	for i, r := range leaked {
		if got := r.URL.Query().Get("i"); got != strconv.Itoa(i) {
			t.Errorf("request %d became request %s", i, got)
		}
		if err := fprom.Record(r.Context(), Sale("late")); !errors.Is(err, fprom.ErrNoMiddleware) || strings.Count(err.Error(), "fprom: ") != 1 {
			t.Errorf("Record after the handler has returned: %v, want ErrNoMiddleware, with one advice", err)
		}
	}
	if got := j.Entries(); !slices.Equal(got, want) {
		t.Errorf("happened:\n  %q\nwant:\n  %q", got, want)
	}
}

// pattern: a middleware outside of ours still sees the route that a mux inside has found.
func pattern(t *testing.T, wrap Wrap) {
	t.Helper()
	for name, handler := range map[string]http.HandlerFunc{
		"return": answer(http.StatusOK),
		"panic":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /{page}", handler)
		h := wrap(nil, mux)
		var got string
		s := NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { got = r.Pattern }()
			h.ServeHTTP(w, r)
		}), new(Journal))
		do(t, s, "")
		s.Close()
		if got != "POST /{page}" {
			t.Errorf("%s: outside, the pattern is %q", name, got)
		}
	}
}

// refused: the headers of the handler's response are not sent with the 503 that replaces it. Headers from a middleware outside stay.
func refused(t *testing.T, wrap Wrap) {
	t.Helper()
	tracker, j := NewTracker(t, true)
	other := http.Header{
		"Content-Encoding": {"gzip"}, "Cache-Control": {"public, immutable"}, "Etag": {`"1"`}, "Content-Disposition": {"attachment"},
		"Content-Language": {"de"}, "Location": {"/thanks"}, "Set-Cookie": {"paid=1"},
	}
	h := wrap(tracker, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), other)
		w.Header().Set("Content-Length", "5")
		w.Header().Add("Vary", "Accept")
		Sell(r, "1")
		_, _ = io.WriteString(w, "thank")
	}), fprom.WithFailClosed())
	s := NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "7")
		w.Header().Set("Vary", "Origin")
		h.ServeHTTP(w, r)
	}), j)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/checkout", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity") // no compression on the way
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || string(body) != "Service Unavailable\n" {
		t.Errorf("status %d, body %q, %v", res.StatusCode, body, err)
	}
	for name := range other {
		if v := res.Header.Values(name); v != nil {
			t.Errorf("%s is %q", name, v)
		}
	}
	if res.Header.Get("X-Request-Id") != "7" || res.Header.Get("Retry-After") == "" || !slices.Equal(res.Header["Vary"], []string{"Origin"}) {
		t.Errorf("header %v, want X-Request-Id and Vary as they were outside, and Retry-After", res.Header)
	}
}
