package fprom

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/patrickmn/go-cache"
)

// DedupeConfig bounds the memory of event ids. The zero value means the defaults.
type DedupeConfig struct {
	// TTL is how long a delivered event id is remembered. Default 24 h.
	TTL time.Duration
	// MaxEntries is how many ids are remembered at most; beyond it the older half is forgotten. An id takes about 125
	// bytes and its own length. Default 262,144. What is forgotten here is still known to a durable queue's ledger and
	// to FirstPromoter, which answers 409.
	MaxEntries int
}

func (c DedupeConfig) withDefaults() DedupeConfig {
	if c.TTL == 0 {
		c.TTL = 24 * time.Hour
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = 1 << 18
	}
	return c
}

func (c DedupeConfig) validate() error {
	switch {
	case c.TTL < 0:
		return &ValidationError{"Config.Dedupe.TTL", "is negative"}
	case c.MaxEntries < 0:
		return &ValidationError{"Config.Dedupe.MaxEntries", "is negative"}
	}
	return nil
}

const dedupeShards = 64

// dedupe knows what this process has done with an event id: being stored, stored, being sent, done. The two states that
// a call is under way in are kept apart from the cache and end with the call, so that none of them can be forgotten.
type dedupe struct {
	ttl   time.Duration
	half  int // entries of one generation of a shard
	seed  maphash.Seed
	shard [dedupeShards]dedupeShard
}

// dedupeShard keeps ids in two go-cache generations: when the young one is full or a TTL old it becomes the old one,
// and the old one is dropped as a whole. So nothing ever sweeps, and no call waits for a sweep.
type dedupeShard struct {
	mu         sync.Mutex
	young, old *cache.Cache
	turned     time.Time
	active     map[string]*mark         // being stored or sent
	waiting    map[string]chan struct{} // closed when the active call of that key ends
	marks      []mark                   // to allocate from, many at a time
}

// mark is what is known of a key.
type mark struct {
	digest                         uint64
	storing, stored, sending, done bool
	gone                           bool // rejected while its Put had not yet returned
}

func newDedupe(c DedupeConfig) *dedupe {
	d := &dedupe{ttl: c.TTL, half: max(c.MaxEntries/(2*dedupeShards), 1), seed: maphash.MakeSeed()}
	for i := range d.shard {
		s := &d.shard[i]
		s.young, s.old, s.turned = cache.New(c.TTL, 0), cache.New(c.TTL, 0), time.Now()
		s.active, s.waiting = map[string]*mark{}, map[string]chan struct{}{}
	}
	return d
}

type claim int

const (
	claimed    claim = iota // go on, and call stored
	known                   // accepted or delivered before
	conflicted              // known with another digest
)

// claim begins to store an event. If another call is storing it, it waits for that one's success, as long as a Put may
// take: ctx is for its values.
func (d *dedupe) claim(ctx context.Context, key string, digest uint64) (claim, error) {
	var bounded context.Context //nolint:contextcheck // derived from ctx below, for those who have to wait
	for {
		s := d.lock(key)
		m := s.find(key)
		switch {
		case m == nil || !m.done && !m.stored && !m.storing:
			if m == nil {
				m = s.newMark()
			}
			m.digest, m.storing, m.gone = digest, true, false
			s.active[key] = m
			s.mu.Unlock()
			return claimed, nil
		case m.storing:
			if bounded == nil {
				var cancel context.CancelFunc
				bounded, cancel = context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
				defer cancel()
			}
			if err := s.wait(bounded, key); err != nil { // unlocks
				return known, err
			}
		default:
			c := m.compare(digest)
			s.mu.Unlock()
			return c, nil
		}
	}
}

// compare says of a second event with the key of m whether it asks for other money.
func (m *mark) compare(digest uint64) claim {
	if m.digest == digest {
		return known
	}
	return conflicted
}

// stored ends a claim: ok says whether the queue has the event.
func (d *dedupe) stored(key string, ok bool) {
	s := d.lock(key)
	defer s.mu.Unlock()
	if m := s.active[key]; m != nil {
		m.storing = false
		m.stored = ok && !m.done && !m.gone
		s.rest(key, m, d)
	}
}

// begin starts to send an event: claimed means go on, and call finish. If another call is sending it, it waits for that
// one's verdict. known or conflicted: it was delivered.
func (d *dedupe) begin(ctx context.Context, msg Message) (claim, error) {
	key := msg.Key
	for {
		s := d.lock(key)
		m := s.find(key)
		switch {
		case m == nil || !m.done && !m.sending:
			if m == nil {
				m = s.newMark()
			}
			m.sending = true
			s.active[key] = m
			s.mu.Unlock()
			return claimed, nil
		case m.done:
			c := m.compare(msg.Digest)
			s.mu.Unlock()
			return c, nil
		default:
			if err := s.wait(ctx, key); err != nil { // unlocks
				return known, err
			}
		}
	}
}

// finish ends what begin started: delivered remembers the event and its money, rejected forgets a queued one, which its
// queue gives up now; else it is as before.
func (d *dedupe) finish(msg Message, queued, delivered, rejected bool) {
	key := msg.Key
	s := d.lock(key)
	defer s.mu.Unlock()
	m := s.active[key]
	if m == nil {
		return
	}
	m.sending = false
	switch {
	case delivered:
		if !queued || !m.stored && !m.storing { // else the digest is of what was stored, which is msg
			m.digest = msg.Digest
		}
		m.done, m.stored = true, false
	case rejected && queued:
		m.stored, m.gone = false, m.storing
	}
	s.rest(key, m, d)
}

// rest puts the mark where it belongs when a call has ended, and wakes those who wait for it.
func (s *dedupeShard) rest(key string, m *mark, d *dedupe) {
	if len(s.waiting) > 0 {
		if ch := s.waiting[key]; ch != nil {
			close(ch)
			delete(s.waiting, key)
		}
	}
	if m.storing || m.sending {
		return
	}
	delete(s.active, key)
	if !m.done && !m.stored {
		s.young.Delete(key)
		s.old.Delete(key)
		return
	}
	if n := s.young.ItemCount(); n >= d.half || n%64 == 0 && time.Since(s.turned) >= d.ttl {
		s.old, s.young, s.turned = s.young, cache.New(d.ttl, 0), time.Now()
	}
	s.young.SetDefault(key, m) // the old generation may still have it too: the same mark, found second
}

func (d *dedupe) lock(key string) *dedupeShard {
	s := &d.shard[maphash.String(d.seed, key)%dedupeShards]
	s.mu.Lock()
	return s
}

func (s *dedupeShard) find(key string) *mark {
	if m := s.active[key]; m != nil {
		return m
	}
	for _, c := range [...]*cache.Cache{s.young, s.old} {
		if m, ok := c.Get(key); ok {
			return m.(*mark)
		}
	}
	return nil
}

// wait unlocks s and waits for the active call of key.
func (s *dedupeShard) wait(ctx context.Context, key string) error {
	ch := s.waiting[key]
	if ch == nil {
		ch = make(chan struct{})
		s.waiting[key] = ch
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-ch:
		return nil
	}
}

func (s *dedupeShard) newMark() *mark {
	if len(s.marks) == 0 {
		s.marks = make([]mark, 128)
	}
	m := &s.marks[0]
	s.marks = s.marks[1:]
	return m
}
