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
	// MaxEntries is how many ids are remembered at most; beyond it the older half is forgotten. Default 262,144. The ledger of
	// a durable queue still knows a forgotten id, and so does FirstPromoter, which answers 409.
	MaxEntries int
}

// dedupe remembers what this process did with an event id. Ids are in two generations of go-cache. When the young one is
// full or a TTL old, it becomes the old one, and the previous old one is dropped as a whole: so no call waits for a sweep.
// Ids that are being stored or sent are kept apart, so that they are not forgotten.
type dedupe struct {
	ttl  time.Duration
	half int // ids in one generation

	mu         sync.Mutex
	young, old *cache.Cache
	youngSince time.Time
	active     map[string]*idState // being stored or sent
	ended      signal              // a call for one of them has ended
}

type idState struct {
	digest           uint64
	status           idStatus
	storing, sending bool
}

type idStatus int

const (
	idUnused idStatus = iota
	idStored          // or being stored
	idDone
)

func newDedupe(c DedupeConfig) *dedupe {
	return &dedupe{
		ttl: c.TTL, half: max(c.MaxEntries/2, 1), young: cache.New(c.TTL, 0), old: cache.New(c.TTL, 0), youngSince: time.Now(),
		active: map[string]*idState{},
	}
}

// beginStore returns the messages that the caller must store; endStore ends each of them. The others are conflicts, or
// repeats. If another call stores one of ms, beginStore waits for it, and holds nothing meanwhile, so that no two calls wait
// for each other.
func (d *dedupe) beginStore(ctx context.Context, ms []Message) (fresh, conflicts []Message, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for slices.ContainsFunc(ms, d.storing) {
		if err := d.ended.wait(ctx, &d.mu, time.Hour); err != nil {
			return nil, nil, err
		}
	}
	for i, m := range ms {
		k := cmp.Or(d.find(m.Key), &idState{})
		switch {
		case k.status == idUnused:
			k.digest, k.storing, k.status = m.Digest, true, idStored
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

// storing reports whether another call stores m. Called with mu held.
func (d *dedupe) storing(m Message) bool {
	k := d.active[m.Key]
	return k != nil && k.storing
}

// endStore ends what beginStore began. ok says that the queue has the event until this process has delivered it.
func (d *dedupe) endStore(m Message, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.active[m.Key]
	if k.storing = false; !ok && k.status == idStored {
		k.status = idUnused
	}
	d.release(m.Key, k)
}

// beginSend must end with endSend, unless the event is a repeat of a delivered one, or its id is used with another amount:
// by a delivered event or, for Track, by a queued one. If another call sends the event, beginSend waits for its verdict.
func (d *dedupe) beginSend(ctx context.Context, a *attempt) (repeat bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		k := cmp.Or(d.find(a.Key), &idState{})
		switch {
		case k.digest != a.Digest && (k.status == idDone || !a.queued && k.status == idStored && !k.storing):
			return false, &ConflictError{Keys: []string{a.Key}}
		case k.status == idDone:
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

// endSend ends what beginSend began. It remembers an event that is done; Track's NotReferral may have come too early. It
// forgets a queued event that is rejected, since the queue gives it up. Otherwise nothing changes.
func (d *dedupe) endSend(a *attempt, v verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.active[a.Key]
	k.sending = false
	switch {
	case v.Outcome == NotReferral && !a.queued:
	case v.class == classDone && !a.Repeats():
		k.digest, k.status = a.Digest, idDone
	case v.class == classDone, v.class == classRejected && a.queued:
		k.status = idUnused
	}
	d.release(a.Key, k)
}

// conflicts reports whether this process knows key with another amount or currency.
func (d *dedupe) conflicts(key string, digest uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.find(key)
	return k != nil && !k.storing && k.status != idUnused && k.digest != digest
}

// release moves k to the cache if no call needs it any more, and wakes the calls that wait. Called with mu held.
func (d *dedupe) release(key string, k *idState) {
	d.ended.broadcast()
	if k.storing || k.sending {
		return
	}
	delete(d.active, key)
	if k.status == idUnused {
		d.young.Delete(key)
		d.old.Delete(key)
		return
	}
	if n := d.young.ItemCount(); n >= d.half || time.Since(d.youngSince) >= d.ttl {
		d.old, d.young, d.youngSince = d.young, cache.New(d.ttl, 0), time.Now()
	}
	d.young.SetDefault(key, k) // the old generation may have the same k
}

// find returns the state of key, or nil. Called with mu held.
func (d *dedupe) find(key string) *idState {
	if k := d.active[key]; k != nil {
		return k
	}
	for _, c := range [...]*cache.Cache{d.young, d.old} {
		if k, ok := c.Get(key); ok {
			return k.(*idState)
		}
	}
	return nil
}
