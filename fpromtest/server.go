package fpromtest

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

const (
	basePath = "/api/v2/track/"
	trapPath = "/elsewhere"

	// DefaultRateLimit is FirstPromoter's documented limit: requests per minute and account.
	DefaultRateLimit = 400
)

// Server is a fake FirstPromoter with one account. It is safe for concurrent use. Make one with NewServer or Start.
type Server struct {
	URL       string // what fprom.Config.BaseURL must be
	APIKey    string // the key that is accepted
	AccountID string // the account it belongs to

	limit    int
	allLeads bool
	inMemory bool
	seed     uint64
	listener *httptest.Server // nil if in memory
	closed   chan struct{}
	close    sync.Once

	mu      sync.Mutex
	account account
	journal journal
	window  []time.Time // when the requests of the last minute were let through
	faults  []*Injection
	company Company
	books   books
	rng     *rand.Rand

	disorder *rand.Rand // of lists
}

// Option changes a Server before it starts.
type Option func(*Server)

// WithRateLimit sets how many requests per minute are let through before the answer is 429, in any window of 60
// seconds; 0 lifts the limit. Default DefaultRateLimit.
func WithRateLimit(perMinute int) Option { return func(s *Server) { s.limit = perMinute } }

// WithAllLeads makes every customer a lead of the default promoter, so that every sale is a referral sale.
func WithAllLeads() Option { return func(s *Server) { s.allLeads = true } }

// WithSeed sets the seed of Fault.Chance. Default 1.
func WithSeed(seed uint64) Option { return func(s *Server) { s.seed = seed } }

// InMemory makes a Server that opens no socket and starts no goroutine: it is reached by Transport only. Its time is
// time.Now, so inside a testing/synctest bubble it lives in the bubble's time.
func InMemory() Option { return func(s *Server) { s.inMemory = true } }

// NewServer starts a Server that closes itself when the test ends. In a synctest bubble pass the bubble's *testing.T
// and InMemory.
func NewServer(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	s := Start(opts...)
	tb.Cleanup(s.Close)
	return s
}

// Start starts a Server outside of a test, on a free port of the loopback interface. Call Close when done. Like
// httptest.NewServer it panics if no port can be opened.
func Start(opts ...Option) *Server {
	s := &Server{ //nolint:gosec // the key opens nothing
		APIKey: "fake-api-key", AccountID: "fake-account",
		limit: DefaultRateLimit, seed: 1, closed: make(chan struct{}),
	}
	for _, o := range opts {
		o(s)
	}
	s.rng = rand.New(rand.NewPCG(s.seed, s.seed)) // a test wants the same numbers again
	s.disorder = newDisorder(s.seed)
	s.account = newAccount()
	s.journal = newJournal()
	base := "https://firstpromoter.test" // a reserved name that never resolves
	if !s.inMemory {
		s.listener = httptest.NewServer(s)
		base = s.listener.URL
	}
	s.URL = base + basePath[:len(basePath)-1]
	return s
}

// Close stops the server. Requests that hang are cut off. It may be called more than once.
func (s *Server) Close() {
	s.close.Do(func() {
		close(s.closed)
		if s.listener != nil {
			s.listener.Close()
		}
	})
}

// Config is a fprom.Config that reaches this server: BaseURL, APIKey and AccountID, and for a Server in memory the
// HTTPClient. Everything else has its default, also the pace of 400 calls a minute: in tests see NewTracker.
func (s *Server) Config() fprom.Config {
	c := fprom.Config{BaseURL: s.URL, APIKey: s.APIKey, AccountID: s.AccountID}
	if s.inMemory {
		c.HTTPClient = &http.Client{Transport: s.Transport()}
	}
	return c
}
