package fprom

import (
	"context"
	"sync"
	"time"

	"github.com/patrickmn/go-cache"
)

// DedupeConfig bounds the memory of event ids. The zero value means the defaults.
type DedupeConfig struct {
	// TTL is how long a delivered event id is remembered. Default 24 h.
	TTL time.Duration
	// MaxEntries is how many ids are remembered at most; beyond it the older half is forgotten. Default 262,144. The ledger of
	// a durable queue still knows a forgotten id, and so does FirstPromoter, which answers 409.
	MaxEntries int
}

// dedupe remembers the ids that this process has delivered, with their digests. What waits, only the queue knows. Ids are in
// two generations of go-cache. When the young one is full or a TTL old, it becomes the old one, and the previous old one is
// dropped as a whole: so no call waits for a sweep.
type dedupe struct {
	ttl  time.Duration
	half int // ids in one generation

	mu         sync.Mutex
	young, old *cache.Cache
	youngSince time.Time
	sending    map[string]struct{} // ids of the calls under way
	ended      signal              // one of them has ended
}

func newDedupe(c DedupeConfig) *dedupe {
	return &dedupe{
		ttl: c.TTL, half: max(c.MaxEntries/2, 1), young: cache.New(c.TTL, 0), old: cache.New(c.TTL, 0), youngSince: time.Now(),
		sending: map[string]struct{}{},
	}
}

// find reports whether m is a repeat of a delivered event, or in conflict with one. Called with mu held.
func (d *dedupe) find(m Message) (repeat, conflict bool) {
	digest, ok := d.young.Get(m.Key)
	if !ok {
		digest, ok = d.old.Get(m.Key)
	}
	return ok && digest == m.Digest, ok && digest != m.Digest
}

// check is find for calls without mu.
func (d *dedupe) check(m Message) (repeat, conflict bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.find(m)
}

// beginSend must end with endSend, unless the event is a repeat or in conflict. If another call sends an event with this id,
// beginSend waits for its verdict.
func (d *dedupe) beginSend(ctx context.Context, m Message) (repeat bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		repeat, conflict := d.find(m)
		_, other := d.sending[m.Key]
		switch {
		case conflict:
			return false, &ConflictError{Keys: []string{m.Key}}
		case repeat:
			return true, nil
		case !other:
			d.sending[m.Key] = struct{}{}
			return false, nil
		}
		if err := d.ended.wait(ctx, &d.mu, time.Hour); err != nil {
			return false, err
		}
	}
}

// endSend ends what beginSend began. It remembers an event that is done; Track's NotReferral may have come too early.
func (d *dedupe) endSend(a *attempt, v verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sending, a.Key)
	d.ended.broadcast()
	if v.class != classDone || a.Repeats() || v.Outcome == NotReferral && !a.queued {
		return
	}
	if n := d.young.ItemCount(); n >= d.half || time.Since(d.youngSince) >= d.ttl {
		d.old, d.young, d.youngSince = d.young, cache.New(d.ttl, 0), time.Now()
	}
	d.young.SetDefault(a.Key, a.Digest)
}
