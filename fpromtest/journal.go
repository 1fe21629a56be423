package fpromtest

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Request is a request that arrived, with its result.
type Request struct {
	Time    time.Time // of arrival
	Method  string
	Path    string
	Kind    string      // "sale", "refund", "signup", "cancellation", "company"; empty for any other path or method
	EventID string      // the event id; of a sign-up or a cancellation the customer (e-mail address in lower case, else uid); of a company call the resource, such as "commissions"
	Header  http.Header // without Authorization
	Body    Body        // parsed
	Raw     []byte      // as received

	Status   int    // of the answer; 0 while the request is in progress, or if no answer was sent
	Accepted bool   // an event was registered, even if the answer was lost
	Fault    string // the injected fault, such as "status 500"; empty if there was none
}

// Commission is what a promoter earned with a sale or lost by a refund.
type Commission struct {
	ID         int64
	Kind       string // "sale" or "refund"
	EventID    string
	Customer   string // of the request: the e-mail address in lower case, else the uid
	SaleAmount int64  // minor units; negative for a refund
	Amount     int64  // minor units; negative for a refund
	RefID      string // the promoter's referral id
	Time       time.Time
}

// journal has all requests. Server.mu guards it.
type journal struct {
	requests []Request
	trapped  []Request     // followed a Redirect
	changed  chan struct{} // closed and replaced with every change
}

func (j *journal) notify() {
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *journal) add(r Request) int {
	j.requests = append(j.requests, r)
	j.notify()
	return len(j.requests) - 1
}

// update changes the entry of a request and wakes up Wait.
func (s *Server) update(i int, change func(*Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i < len(s.journal.requests) {
		change(&s.journal.requests[i])
		s.journal.notify()
	}
}

// Requests returns a copy of all requests, in the order of arrival. Do not change their headers and bytes, which are shared.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal.requests)
}

// Accepted returns the requests that registered an event, in the order of arrival, even if the answer was lost.
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

// Commissions returns all commissions, oldest first.
func (s *Server) Commissions() []Commission {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.account.earned)
}

// Trapped returns all requests that followed a Redirect.
func (s *Server) Trapped() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.journal.trapped)
}

// Count returns the number of requests with this kind and event id (see Request.EventID). An empty one stands for all.
func (s *Server) Count(kind, eventID string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.journal.requests {
		if (kind == "" || r.Kind == kind) && (eventID == "" || r.EventID == eventID) {
			n++
		}
	}
	return n
}

// MaxInWindow returns the largest number of requests in any time window of length d. Two requests exactly d apart are not in one
// window.
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

// Wait returns nil when cond returns true, or else the error of ctx. It calls cond at once and after every change of the journal. cond
// may call any method of the Server.
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
