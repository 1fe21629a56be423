package fpromtest

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Request is one request that arrived, and what became of it.
type Request struct {
	Time    time.Time // of arrival
	Method  string
	Path    string
	Kind    string      // "sale", "refund", "signup", "cancellation", "company"; empty for any other path or method
	EventID string      // the event id; for a sign-up or a cancellation the customer: e-mail address in lower case, else uid; for a company call what it asks for, such as "commissions"
	Header  http.Header // without Authorization
	Body    Body        // what was asked for
	Raw     []byte      // the very bytes

	Status   int    // answered; 0 while the request is under way, and if no answer was sent
	Accepted bool   // an event was registered, whatever the answer said
	Fault    string // the injected fault that it met, such as "status 500"; empty for none
}

// Commission is what a promoter earned by a sale, or lost by a refund.
type Commission struct {
	ID         int64
	Kind       string // "sale" or "refund"
	EventID    string
	Customer   string // the e-mail address in lower case, else the uid, that the request named
	SaleAmount int64  // minor units; negative for a refund
	Amount     int64  // minor units; negative for a refund
	RefID      string // the promoter's referral id
	Time       time.Time
}

// journal is everything that arrived; Server.mu guards it.
type journal struct {
	requests []Request
	counts   map[[2]string]int // by kind and event id, where "" counts all
	trapped  []Request
	changed  chan struct{} // closed and replaced with every change
}

func newJournal() journal {
	return journal{counts: map[[2]string]int{}, changed: make(chan struct{})}
}

func (j *journal) notify() {
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *journal) add(r Request) int {
	j.requests = append(j.requests, r)
	j.counts[[2]string{}]++
	if r.Kind != "" {
		j.counts[[2]string{r.Kind, ""}]++
		if r.EventID != "" {
			j.counts[[2]string{r.Kind, r.EventID}]++
		}
	}
	j.notify()
	return len(j.requests) - 1
}

// update changes the entry of a request, and wakes who waits.
func (s *Server) update(i int, change func(*Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < len(s.journal.requests) {
		change(&s.journal.requests[i])
		s.journal.notify()
	}
}

// Requests is every request so far, in the order of arrival. The copy is the caller's; headers and bytes are shared.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal.requests)
}

// Accepted is every request by which an event was registered, in the order of arrival, also those whose answer was
// lost.
func (s *Server) Accepted() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var accepted []Request
	for _, r := range s.journal.requests {
		if r.Accepted {
			accepted = append(accepted, r)
		}
	}
	return accepted
}

// Commissions is every commission so far, oldest first.
func (s *Server) Commissions() []Commission {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.account.earned)
}

// Trapped is every request that followed a Redirect.
func (s *Server) Trapped() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal.trapped)
}

// Count is the number of requests of a kind for an event id (see Request.EventID). An empty eventID counts all of the
// kind; both empty, all there are.
func (s *Server) Count(kind, eventID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.counts[[2]string{kind, eventID}]
}

// MaxInWindow is the largest number of requests that arrived within any window of length d, however placed. Two
// requests exactly d apart are not in one window.
func (s *Server) MaxInWindow(d time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	most, from := 0, 0
	for to, r := range s.journal.requests {
		for r.Time.Sub(s.journal.requests[from].Time) >= d && from < to {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// Wait returns nil as soon as cond holds, which is asked at once and after every change, or ctx's error. cond may use
// every method of the Server.
func (s *Server) Wait(ctx context.Context, cond func(*Server) bool) error {
	for {
		s.mu.Lock()
		changed := s.journal.changed
		s.mu.Unlock()
		if cond(s) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
