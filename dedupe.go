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

// dedupe remembers the ids that this process has delivered, with their digests. Ids are in two generations of go-cache. When
// the young one is full or a TTL old, it becomes the old one, and the previous old one is dropped as a whole: so no call
// waits for a sweep. What waits, the queue knows; waiting is only for Record and Track, which do not ask it.
type dedupe struct {
	ttl  time.Duration
	half int // ids in one generation

	mu         sync.Mutex
	young, old *cache.Cache
	youngSince time.Time
	waiting    map[string]uint64        // digests of at most half ids in a queue that no other process delivers
	sending    map[string]chan struct{} // ids of the calls under way; closed when the call has ended
}

func newDedupe(c DedupeConfig) *dedupe {
	return &dedupe{
		ttl: c.TTL, half: max(c.MaxEntries/2, 1), young: cache.New(c.TTL, 0), old: cache.New(c.TTL, 0), youngSince: time.Now(),
		waiting: map[string]uint64{}, sending: map[string]chan struct{}{},
	}
}

// find reports whether m is a repeat of a delivered event, or in conflict with one or, with waiting, with one that waits.
// Called with mu held.
func (d *dedupe) find(m Message, waiting bool) (repeat, conflict bool) {
	digest, ok := d.young.Get(m.Key)
	if !ok {
		digest, ok = d.old.Get(m.Key)
	}
	if ok {
		delete(d.waiting, m.Key) // what is delivered waits no more
		return digest == m.Digest, digest != m.Digest
	}
	waits, ok := d.waiting[m.Key]
	return false, waiting && ok && waits != m.Digest
}

// check is find for calls without mu.
func (d *dedupe) check(m Message, waiting bool) (repeat, conflict bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.find(m, waiting)
}

// note notes that m is about to be stored, since it may be delivered before Put returns; or that it was not stored.
func (d *dedupe) note(m Message, waits bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch digest, known := d.waiting[m.Key]; {
	case waits && !known && len(d.waiting) < d.half:
		d.waiting[m.Key] = m.Digest
	case !waits && digest == m.Digest:
		delete(d.waiting, m.Key)
	}
}

// beginSend must end with endSend, unless the event is a repeat or in conflict. If another call sends an event with this id,
// beginSend waits for its verdict.
func (d *dedupe) beginSend(ctx context.Context, a *attempt) (repeat bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		repeat, conflict := d.find(a.Message, !a.queued)
		other, sending := d.sending[a.Key]
		switch {
		case conflict:
			return false, &ConflictError{Keys: []string{a.Key}}
		case repeat:
			return true, nil
		case !sending:
			d.sending[a.Key] = make(chan struct{})
			return false, nil
		case ctx.Err() != nil:
			return false, ctx.Err()
		}
		d.mu.Unlock()
		_ = sleepOr(ctx, time.Hour, other)
		d.mu.Lock()
	}
}

// endSend ends what beginSend began. It remembers an event that is done; Track's NotReferral may have come too early.
func (d *dedupe) endSend(a *attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.sending[a.Key])
	delete(d.sending, a.Key)
	if a.queued && (a.class == classDone || a.class == classRejected) {
		delete(d.waiting, a.Key)
	}
	if a.class != classDone || a.Repeats() || a.Outcome == NotReferral && !a.queued {
		return
	}
	if n := d.young.ItemCount(); n >= d.half || time.Since(d.youngSince) >= d.ttl {
		d.old, d.young, d.youngSince = d.young, cache.New(d.ttl, 0), time.Now()
	}
	d.young.SetDefault(a.Key, a.Digest)
}
