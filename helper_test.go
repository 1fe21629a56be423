package fprom_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
)

const (
	apiKey    = "key-0123456789abcdef"
	accountID = "acc-1"
	okBody    = `{"id":45831949,"etype":"sale","sale_amount":2000,"event_id":null,"commissions":[]}`
	notFound  = `{"message":"Referral corresponding to email or uid parameter not found or promoter is banned.","code":"not_found"}`
	htmlPage  = "<!DOCTYPE html><html><body>nope</body></html>"
)

var errReset = errors.New("connection reset by peer")

// call is a request as it arrived.
type call struct {
	at     time.Time
	kind   string
	body   string
	header http.Header
	url    string
}

// has reports whether the call is about the event with this id or customer.
func (c call) has(id string) bool { return strings.Contains(c.body, `"`+id+`"`) }

// reply is what the fake answers.
type reply struct {
	status int
	body   string
	header http.Header
	err    error                 // instead of an answer
	hang   bool                  // no answer until the request's context ends
	after  time.Duration         // answers so late
	wait   <-chan struct{}       // answers when this is closed
	stream io.ReadCloser         // instead of body
	onCtx  func(context.Context) // sees the request's context
}

// fake is a FirstPromoter that answers what its function says, and keeps what arrived. It is an http.RoundTripper that
// needs no socket, so it lives in the time of a synctest bubble.
type fake struct {
	answer func(n int, c call) reply // n counts from 1

	mu    sync.Mutex
	calls []call
}

// always answers every request with r.
func always(r reply) *fake { return &fake{answer: func(int, call) reply { return r }} }

// script answers the first requests with rs, and all further ones with the last of them.
func script(rs ...reply) *fake {
	return &fake{answer: func(n int, _ call) reply { return rs[min(n, len(rs))-1] }}
}

func ok() reply { return reply{status: 200, body: okBody} }

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c := call{at: time.Now(), kind: path.Base(r.URL.Path), body: string(body), header: r.Header.Clone(), url: r.URL.String()}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	n := len(f.calls)
	f.mu.Unlock()

	a := f.answer(n, c)
	if a.onCtx != nil {
		a.onCtx(r.Context())
	}
	// No timer for a wait of 0: the race detector crashes if goroutines of one bubble receive from timers that are due at once.
	if a.hang || a.after > 0 {
		var late <-chan time.Time
		if !a.hang {
			late = time.After(a.after)
		}
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-late:
		}
	}
	if a.wait != nil {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-a.wait:
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	header := a.header
	if header == nil {
		header = http.Header{}
	}
	stream := a.stream
	if stream == nil {
		stream = io.NopCloser(strings.NewReader(a.body))
	}
	return &http.Response{StatusCode: a.status, Header: header, Body: stream, Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// seen is what has arrived so far.
func (f *fake) seen() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// count is how many requests were about the event with this id.
func (f *fake) count(id string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c.has(id) {
			n++
		}
	}
	return n
}

// steps is an Observer that keeps what it is told.
type steps struct {
	mu  sync.Mutex
	all []fprom.Step
}

func (s *steps) observe(_ context.Context, step fprom.Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, step)
}

// sofar returns the steps up to now.
func (s *steps) sofar() []fprom.Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all)
}

// of returns the steps of one stage.
func (s *steps) of(stage fprom.Stage) (found []fprom.Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, step := range s.all {
		if step.Stage == stage {
			found = append(found, step)
		}
	}
	return found
}

// config is a Config that reaches rt, without pacing that a test would notice.
func config(rt http.RoundTripper) fprom.Config {
	return fprom.Config{
		APIKey: apiKey, AccountID: accountID, BaseURL: "https://firstpromoter.test/api/v2/track",
		HTTPClient: &http.Client{Transport: rt}, RequestsPerMinute: 1_000_000_000, Burst: 1000,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// start makes a Tracker that is shut down, without waiting for what is left, when the test ends.
func start(tb testing.TB, cfg fprom.Config) *fprom.Tracker {
	tb.Helper()
	tracker, err := fprom.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		var left *fprom.UndeliveredError
		if err := tracker.Shutdown(ctx); err != nil && !errors.As(err, &left) {
			tb.Error(err)
		}
	})
	return tracker
}

// bubble runs f in a synctest bubble, as a parallel test.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// settle lets everything in the bubble go as far as it can in a millisecond: the first call waits for its token.
func settle() {
	time.Sleep(time.Millisecond)
	synctest.Wait()
}

// enqueue puts events into the queue, or fails the test.
func enqueue(tb testing.TB, tracker *fprom.Tracker, events ...fprom.Event) {
	tb.Helper()
	for _, e := range events {
		if err := tracker.Enqueue(tb.Context(), e); err != nil {
			tb.Fatalf("Enqueue: %v", err)
		}
	}
}

// conflicting enqueues events whose ids are used with another amount.
func conflicting(tb testing.TB, tracker *fprom.Tracker, events ...fprom.Event) {
	tb.Helper()
	for _, e := range events {
		if err := tracker.Enqueue(tb.Context(), e); !errors.Is(err, fprom.ErrConflict) {
			tb.Errorf("Enqueue: %v, want ErrConflict", err)
		}
	}
}

// flush waits until everything has its outcome, for at most d.
func flush(tb testing.TB, tracker *fprom.Tracker, d time.Duration) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), d)
	defer cancel()
	if err := tracker.Flush(ctx); err != nil {
		tb.Fatalf("Flush: %v", err)
	}
}

// sale is a valid sale of a customer of its own.
func sale(id string) fprom.Sale {
	return fprom.Sale{EventID: id, Email: id + "@example.com", Amount: 2000, Currency: "USD"}
}

func refund(id string) fprom.Refund {
	return fprom.Refund{EventID: id, Email: id + "@example.com", Amount: 500, Currency: "USD"}
}

// recorder is a Queue without any optional method around the queue in memory. It counts what a queue would write.
type recorder struct {
	inner fprom.Queue
	onPut func(m []fprom.Message, put func() error) error // nil: put()

	mu      sync.Mutex
	puts    int
	settled []error // what deliver answered
}

func newRecorder() *recorder { return &recorder{inner: fprom.NewMemoryQueue(0)} }

func (q *recorder) Put(ctx context.Context, m ...fprom.Message) error {
	q.mu.Lock()
	q.puts++
	q.mu.Unlock()
	put := func() error { return q.inner.Put(ctx, m...) }
	if q.onPut != nil {
		return q.onPut(m, put)
	}
	return put()
}

func (q *recorder) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	return q.inner.Run(ctx, workers, func(ctx context.Context, m fprom.Message) (fprom.Result, error) {
		r, err := deliver(ctx, m)
		q.mu.Lock()
		q.settled = append(q.settled, err)
		q.mu.Unlock()
		return r, err
	})
}

func (q *recorder) Flush(ctx context.Context) error { return q.inner.Flush(ctx) }

func (q *recorder) Stats(ctx context.Context) (fprom.QueueStats, error) { return q.inner.Stats(ctx) }

func (q *recorder) Close() error { return q.inner.Close() }

// answers is what deliver said so far.
func (q *recorder) answers() []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.settled)
}

var _ fprom.Queue = (*recorder)(nil)

// sink is a Queue that takes everything and delivers nothing.
type sink struct{}

func (sink) Put(context.Context, ...fprom.Message) error { return nil }

func (sink) Run(ctx context.Context, workers int, _ func(context.Context, fprom.Message) (fprom.Result, error)) error {
	<-ctx.Done()
	return nil
}

// Flush, Stats and Close implement fprom.Queue.
func (sink) Flush(context.Context) error                     { return nil }
func (sink) Stats(context.Context) (fprom.QueueStats, error) { return fprom.QueueStats{}, nil }
func (sink) Close() error                                    { return nil }
