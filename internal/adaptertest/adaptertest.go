// Package adaptertest has the test cases that every adapter must pass, over real HTTP. Run and RunBuffered run the common cases; an
// adapter runs its own with Check.
package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fprom-go/fprom"
)

// Wrap serves h in the adapter's framework, with the adapter's middleware around it.
type Wrap func(t fprom.Enqueuer, h http.Handler, opts ...fprom.MiddlewareOption) http.Handler

// Case is one request with the expected result.
type Case struct {
	Name    string
	Method  string // default POST
	Handler http.HandlerFunc
	Outer   func(http.Handler) http.Handler // around the middleware
	Inner   func(http.Handler) http.Handler // between the middleware and Handler
	Options []fprom.MiddlewareOption
	Full    bool // the queue is full
	Streams bool // the handler sends before it returns, or hijacks the connection

	// Want is the expected journal, in order and as Matches compares it: "stored sale:1", "discarded sale:1", or with the reason that is
	// logged "discarded sale:1: fprom: …", "lost sale:1", and "status 200" for a status line that was sent to the client.
	Want []string
	// WantStatus is what the client saw, 0 if the connection broke.
	WantStatus int
	WantBody   string // if not empty
}

// Refused returns c for WithFailClosed and a full queue: the client gets a 503 instead of the handler's response.
func Refused(c Case) Case {
	c.Full, c.Options = true, []fprom.MiddlewareOption{fprom.WithFailClosed()}
	c.Want = []string{"discarded sale:1: fprom: the request is answered with 503…", "status 503"}
	c.WantStatus, c.WantBody = http.StatusServiceUnavailable, "Service Unavailable\n"
	return c
}

// Journal notes what happens, in order. It is safe for concurrent use.
type Journal struct {
	mu      sync.Mutex
	entries []string
}

func (j *Journal) add(entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, entry)
}

// Entries returns a copy of the journal.
func (j *Journal) Entries() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// Matches reports whether an entry is the wanted one. What ends with … is the beginning of it.
func Matches(entry, want string) bool {
	begin, cut := strings.CutSuffix(want, "…")
	return entry == want || cut && strings.HasPrefix(entry, begin)
}

// queue is a fprom.Queue that writes to the journal and delivers nothing.
type queue struct {
	fprom.Queue
	journal *Journal
	full    bool
}

func (q queue) Put(_ context.Context, ms ...fprom.Message) error {
	if q.full {
		return fprom.ErrQueueFull
	}
	for _, m := range ms {
		q.journal.add("stored " + m.Key)
	}
	return nil
}

func (queue) Run(ctx context.Context, workers int, _ func(context.Context, fprom.Message) (fprom.Result, error)) error {
	<-ctx.Done()
	return nil
}

// NewTracker returns a Tracker that writes its steps to the Journal. With full, its queue is full.
func NewTracker(t *testing.T, full bool) (*fprom.Tracker, *Journal) {
	t.Helper()
	j := new(Journal)
	tracker, err := fprom.New(fprom.Config{
		APIKey: "test", AccountID: "1", BaseURL: "http://127.0.0.1:1",
		Queue:  queue{fprom.NewMemoryQueue(0), j, full},
		Logger: slog.New(slog.DiscardHandler),
		Observer: func(_ context.Context, s fprom.Step) {
			entry := string(s.Stage) + " " + s.Message.Key
			switch {
			case s.Stage == fprom.StageDiscarded && s.Err != nil:
				j.add(entry + ": " + s.Err.Error())
			case s.Stage == fprom.StageDiscarded, s.Stage == fprom.StageLost:
				j.add(entry)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = tracker.Shutdown(ctx) // the queue delivers nothing, so do not wait
	})
	return tracker, j
}

// listener notes the status lines that its connections send.
type listener struct {
	net.Listener
	journal *Journal
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return conn{c, l.journal}, nil
}

type conn struct {
	net.Conn
	journal *Journal
}

func (c conn) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("HTTP/1.1 ")) {
		c.journal.add("status " + string(p[9:12]))
	}
	return c.Conn.Write(p)
}

// NewServer serves h and notes each status line that is sent in j.
func NewServer(t *testing.T, h http.Handler, j *Journal) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // cases panic on purpose
	s.Listener = listener{s.Listener, j}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// Check runs one case.
func Check(t *testing.T, wrap Wrap, c Case) {
	t.Helper()
	tracker, j := NewTracker(t, c.Full)
	var h http.Handler = c.Handler
	if c.Inner != nil {
		h = c.Inner(h)
	}
	h = wrap(tracker, h, c.Options...)
	if c.Outer != nil {
		h = c.Outer(h)
	}
	var handlers sync.WaitGroup
	s := NewServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		h.ServeHTTP(w, r)
	}), j)
	status, body := do(t, s, c.Method)
	s.Close()
	handlers.Wait() // Close does not wait for handlers of hijacked connections
	if status != c.WantStatus {
		t.Errorf("the client saw status %d, want %d", status, c.WantStatus)
	}
	if c.WantBody != "" && body != c.WantBody {
		t.Errorf("the client read %q, want %q", body, c.WantBody)
	}
	if got := j.Entries(); !slices.EqualFunc(got, c.Want, Matches) {
		t.Errorf("happened:\n  %q\nwant:\n  %q", got, c.Want)
	}
}

// do sends one request and returns the response, or status 0 if the connection broke before the end.
func do(t *testing.T, s *httptest.Server, method string) (int, string) {
	t.Helper()
	if method == "" {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/checkout", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{
		Transport:     s.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, ""
	}
	return res.StatusCode, string(body)
}

// Sell records a sale with this event id. It panics if Record returns an error.
func Sell(r *http.Request, id string) {
	if err := fprom.Record(r.Context(), Sale(id)); err != nil {
		panic(err)
	}
}

// Sale returns a valid sale.
func Sale(id string) fprom.Sale {
	return fprom.Sale{EventID: id, Email: "ann@example.com", Amount: 4900, Currency: "USD"}
}
