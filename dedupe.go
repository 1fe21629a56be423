package fprom

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/patrickmn/go-cache"
)

// DedupeConfig bounds the memory of event ids. The zero value means the defaults.
type DedupeConfig struct {
	// TTL is how long a delivered event id is remembered. Default 24 h.
	TTL time.Duration
	// MaxEntries is how many ids are remembered at most; beyond it the older half is forgotten. Default 262,144. What is
	// forgotten here is still known to a durable queue's ledger and to FirstPromoter, which answers 409.
	MaxEntries int
}

// dedupe knows what this process has done with an event id: being stored, stored, being sent, done. Ids are in two
// generations of go-cache: when the young one is full or a TTL old it becomes the old one, and the old one is dropped as
// a whole. So nothing ever sweeps, and no call waits for a sweep. What a call is under way for is kept apart, so that it
// cannot be forgotten.
type dedupe struct {
	ttl  time.Duration
	half int // ids in one generation

	mu         sync.Mutex
	young, old *cache.Cache
	turned     time.Time
	active     map[string]*known // being stored or sent
	ended      signal            // a call for one of them has ended
}

// known is what is known of an event id: what became of it, and what is under way.
type known struct {
	digest           uint64
	fate             fate
	storing, sending bool
}

type fate int

const (
	fateNone   fate = iota
	fateStored      // or about to be, while it is being stored
	fateDone
)

func newDedupe(c DedupeConfig) *dedupe {
	return &dedupe{
		ttl: c.TTL, half: max(c.MaxEntries/2, 1), young: cache.New(c.TTL, 0), old: cache.New(c.TTL, 0), turned: time.Now(),
		active: map[string]*known{},
	}
}

// store begins to store what is fresh in ms, which ends with stored. If another call stores one of ms, store waits for that
// one, and holds nothing meanwhile, so that no two calls wait for each other. The others are repeats, or conflicts.
func (d *dedupe) store(ctx context.Context, ms []Message) (fresh, conflicts []Message, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.storing(ms) {
		if err := d.ended.wait(ctx, &d.mu, time.Hour); err != nil {
			return nil, nil, err
		}
	}
	for i, m := range ms {
		k := cmp.Or(d.find(m.Key), &known{})
		switch {
		case k.fate == fateNone:
			k.digest, k.storing, k.fate = m.Digest, true, fateStored
			d.active[m.Key] = k
			if len(fresh) == i {
				fresh = ms[: i+1 : i+1] // no copy where all are fresh
			} else {
				fresh = append(fresh, m)
			}
		case k.digest != m.Digest:
			conflicts = append(conflicts, m)
		}
	}
	return fresh, conflicts, nil
}

// storing reports whether another call stores one of ms. Called with mu held.
func (d *dedupe) storing(ms []Message) bool {
	return slices.ContainsFunc(ms, func(m Message) bool {
		k := d.active[m.Key]
		return k != nil && k.storing
	})
}

// stored ends what store began: ok says whether the queue has the event, and will until this process has delivered it.
func (d *dedupe) stored(m Message, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.active[m.Key]
	if k.storing = false; !ok && k.fate == fateStored {
		k.fate = fateNone
	}
	d.rest(m.Key, k)
}

// begin starts to send m, which ends with finish, unless it is a repeat of what was delivered, or a conflict with that or,
// if m is not queued, with what is. If another call sends m, begin waits for that one's verdict.
func (d *dedupe) begin(ctx context.Context, a *attempt) (repeat bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		k := cmp.Or(d.find(a.Key), &known{})
		switch {
		case k.digest != a.Digest && (k.fate == fateDone || !a.queued && k.fate == fateStored && !k.storing):
			return false, &ConflictError{Keys: []string{a.Key}}
		case k.fate == fateDone:
			return true, nil
		case !k.sending:
			k.sending = true
			d.active[a.Key] = k
			return false, nil
		}
		if err := d.ended.wait(ctx, &d.mu, time.Hour); err != nil {
			return false, err
		}
	}
}

// finish ends what begin started. What is done is remembered; a queued event that is rejected is forgotten, since its queue
// gives it up now; otherwise it is as before.
func (d *dedupe) finish(a *attempt, c class) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.active[a.Key]
	k.sending = false
	switch {
	case c == classDone && !a.Repeats():
		k.digest, k.fate = a.Digest, fateDone
	case c == classDone, c == classRejected && a.queued:
		k.fate = fateNone // it may be put again
	}
	d.rest(a.Key, k)
}

// conflicts reports whether this process knows key with other money.
func (d *dedupe) conflicts(key string, digest uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.find(key)
	return k != nil && !k.storing && k.fate != fateNone && k.digest != digest
}

// rest puts k where it belongs when a call has ended, and wakes those who wait for it. Called with mu held.
func (d *dedupe) rest(key string, k *known) {
	d.ended.broadcast()
	if k.storing || k.sending {
		return
	}
	delete(d.active, key)
	if k.fate == fateNone {
		d.young.Delete(key)
		d.old.Delete(key)
		return
	}
	if n := d.young.ItemCount(); n >= d.half || time.Since(d.turned) >= d.ttl {
		d.old, d.young, d.turned = d.young, cache.New(d.ttl, 0), time.Now()
	}
	d.young.SetDefault(key, k) // the old generation may still have it too: the same, found second
}

// find is what is known of key, or nil. Called with mu held.
func (d *dedupe) find(key string) *known {
	if k := d.active[key]; k != nil {
		return k
	}
	for _, c := range [...]*cache.Cache{d.young, d.old} {
		if k, ok := c.Get(key); ok {
			return k.(*known)
		}
	}
	return nil
}
