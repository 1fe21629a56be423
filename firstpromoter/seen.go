package firstpromoter

import "sync"

// rememberedIDs is the smallest number of webhook ids that are remembered. FirstPromoter retries for about 17 hours.
const rememberedIDs = 10_000

// seen remembers the ids of handled webhooks, in two generations.
type seen struct {
	mu       sync.Mutex
	now, old map[string]bool
}

func newSeen() *seen { return &seen{now: map[string]bool{}} }

// claim reports whether id is new. A webhook without an id always is.
func (s *seen) claim(id string) bool {
	if id == "" {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now[id] || s.old[id] {
		return false
	}
	if len(s.now) >= rememberedIDs {
		s.old, s.now = s.now, map[string]bool{}
	}
	s.now[id] = true
	return true
}

// release takes a claim back.
func (s *seen) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.now, id)
	delete(s.old, id)
}
