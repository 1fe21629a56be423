package fpromtest

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
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
	AccountID string // the account of the key

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
	window  []time.Time // of the requests of the last minute that were not answered with 429
	faults  []*Injection
	company Company
	books   books
	rng     *rand.Rand // for Fault.Chance and the order of lists
	unknown []string   // calls of endpoints that the fake does not have
}

// Option changes a Server before it starts.
type Option func(*Server)

// WithRateLimit sets how many requests are allowed in any 60 seconds; further ones are answered with 429. 0: no limit. The default is
// DefaultRateLimit.
func WithRateLimit(perMinute int) Option { return func(s *Server) { s.limit = perMinute } }

// WithAllLeads makes every customer a lead of the default promoter, so that every sale is a referral sale.
func WithAllLeads() Option { return func(s *Server) { s.allLeads = true } }

// WithSeed sets the seed of Fault.Chance and Company.Order. Default 1.
func WithSeed(seed uint64) Option { return func(s *Server) { s.seed = seed } }

// InMemory makes a Server without a socket and without goroutines. Only Transport reaches it. In a testing/synctest bubble it uses the
// bubble's time.
func InMemory() Option { return func(s *Server) { s.inMemory = true } }

// NewServer starts a Server that is closed when the test ends. The test's log then names the calls of endpoints that the Server does not
// have. In a synctest bubble pass the bubble's *testing.T and InMemory.
func NewServer(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	s := Start(opts...)
	tb.Cleanup(func() {
		s.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.unknown) > 0 {
			tb.Logf("fpromtest: the fake has no such endpoint, and answered 404: %s; the package's documentation says which it has", strings.Join(s.unknown, ", "))
		}
	})
	return s
}

// Start starts a Server outside of a test, on a free port of the loopback interface. Call Close at the end. Like httptest.NewServer it
// panics if it cannot open a port.
func Start(opts ...Option) *Server {
	s := &Server{ //nolint:gosec // the key opens nothing
		APIKey: "fake-api-key", AccountID: "fake-account",
		limit: DefaultRateLimit, seed: 1, closed: make(chan struct{}),
	}
	for _, o := range opts {
		o(s)
	}
	s.rng = rand.New(rand.NewPCG(s.seed, s.seed)) // the same numbers in every run of a test
	s.account = newAccount()
	s.journal.changed = make(chan struct{})
	base := "https://firstpromoter.test" // a reserved name that never resolves
	if !s.inMemory {
		s.listener = httptest.NewServer(s)
		base = s.listener.URL
	}
	s.URL = base + basePath[:len(basePath)-1]
	return s
}

// Close stops the server and breaks hanging requests. It may be called more than once.
func (s *Server) Close() {
	s.close.Do(func() {
		close(s.closed)
		if s.listener != nil {
			s.listener.Close()
		}
	})
}

// Config returns a fprom.Config for this server: BaseURL, APIKey and AccountID, and for a Server in memory the HTTPClient. Everything
// else is the default, including the pace of 400 calls a minute. In tests use NewTracker.
func (s *Server) Config() fprom.Config {
	c := fprom.Config{BaseURL: s.URL, APIKey: s.APIKey, AccountID: s.AccountID}
	if s.inMemory {
		c.HTTPClient = &http.Client{Transport: s.Transport()}
	}
	return c
}
