package firstpromoter

import "sync"

// rememberedIDs is the smallest number of webhook ids that are remembered. FirstPromoter retries for about 17 hours.
const rememberedIDs = 10_000

// seen knows the webhooks that are being handled, and remembers those that were, in two generations.
type seen struct {
	mu       sync.Mutex
	underWay map[string]bool
	now, old map[string]bool
}

func newSeen() *seen { return &seen{underWay: map[string]bool{}, now: map[string]bool{}} }

// claim reports whether a webhook must be handled; end must follow then. If not, handled says whether it was handled. A webhook
// without an id always must.
func (s *seen) claim(id string) (must, handled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	handled = s.now[id] || s.old[id]
	must = id == "" || !handled && !s.underWay[id]
	if must {
		s.underWay[id] = true
	}
	return must, handled
}

func (s *seen) end(id string, handled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underWay, id)
	if !handled || id == "" {
		return
	}
	if len(s.now) >= rememberedIDs {
		s.old, s.now = s.now, map[string]bool{}
	}
	s.now[id] = true
}
