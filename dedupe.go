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
	// MaxEntries is how many ids are remembered at most; beyond it the older half is forgotten. Default 262,144. What is
	// forgotten here is still known to a durable queue's ledger and to FirstPromoter, which answers 409.
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
}

// known is what is known of an event id.
type known struct {
	digest                         uint64
	storing, stored, sending, done bool
	rejected                       bool // given up while its Put had not yet returned
	ended                          signal
}

func newDedupe(c DedupeConfig) *dedupe {
	return &dedupe{
		ttl: c.TTL, half: max(c.MaxEntries/2, 1), young: cache.New(c.TTL, 0), old: cache.New(c.TTL, 0), turned: time.Now(),
		active: map[string]*known{},
	}
}

// claim says what a call may do with an event.
type claim int

const (
	claimed    claim = iota // go on
	repeated                // it was accepted or delivered before
	conflicted              // it was, with other money
)

// store begins to store what is fresh in ms, which ends with stored. If another call stores one of ms, store waits for that
// one, and holds nothing meanwhile, so that no two calls wait for each other. The others are repeats, or conflicts.
func (d *dedupe) store(ctx context.Context, ms []Message) (fresh, conflicts []Message, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k := d.storing(ms); k != nil; k = d.storing(ms) {
		if err := d.wait(ctx, k); err != nil {
			return nil, nil, err
		}
	}
	for i, m := range ms {
		k := d.find(m.Key)
		switch {
		case k == nil || !k.storing && !k.stored && !k.done:
			if k == nil {
				k = &known{}
			}
			k.digest, k.storing, k.rejected = m.Digest, true, false
			d.active[m.Key] = k
			if len(fresh) == i {
				fresh = ms[: i+1 : i+1] // no copy where all are fresh
			} else {
				fresh = append(fresh, m)
			}
		case k.compare(m) == conflicted:
			conflicts = append(conflicts, m)
		}
	}
	return fresh, conflicts, nil
}

// storing is what is known of the first of ms that another call stores. Called with mu held.
func (d *dedupe) storing(ms []Message) *known {
	for _, m := range ms {
		if k := d.find(m.Key); k != nil && k.storing {
			return k
		}
	}
	return nil
}

// compare says whether a second event with the key of k asks for other money.
func (k *known) compare(m Message) claim {
	if k.digest == m.Digest {
		return repeated
	}
	return conflicted
}

// stored ends what store began: ok says whether the queue has the event.
func (d *dedupe) stored(m Message, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.active[m.Key]; k != nil {
		k.storing = false
		k.stored = ok && !k.done && !k.rejected
		d.rest(m.Key, k)
	}
}

// begin starts to send m: claimed means go on, and call finish. If another call sends it, begin waits for that one's
// verdict. repeated or conflicted: it was delivered.
func (d *dedupe) begin(ctx context.Context, m Message) (claim, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		k := d.find(m.Key)
		switch {
		case k != nil && k.done:
			return k.compare(m), nil
		case k != nil && k.sending:
			if err := d.wait(ctx, k); err != nil {
				return repeated, err
			}
		default:
			if k == nil {
				k = &known{}
			}
			k.sending = true
			d.active[m.Key] = k
			return claimed, nil
		}
	}
}

// finish ends what begin started: delivered remembers the event and its money, rejected forgets a queued one, which its
// queue gives up now; otherwise it is as before.
func (d *dedupe) finish(m Message, queued, delivered, rejected bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.active[m.Key]
	if k == nil {
		return
	}
	k.sending = false
	switch {
	case delivered:
		k.digest, k.done, k.stored = m.Digest, !m.Repeats(), false
		k.rejected = k.storing && m.Repeats() // it may be put again
	case rejected && queued:
		k.stored, k.rejected = false, k.storing
	}
	d.rest(m.Key, k)
}

// conflicts reports whether this process knows key with other money.
func (d *dedupe) conflicts(key string, digest uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.find(key)
	return k != nil && (k.done || k.stored) && k.digest != digest
}

// rest puts k where it belongs when a call has ended, and wakes those who wait for it. Called with mu held.
func (d *dedupe) rest(key string, k *known) {
	k.ended.broadcast()
	if k.storing || k.sending {
		return
	}
	delete(d.active, key)
	if !k.done && !k.stored {
		d.young.Delete(key)
		d.old.Delete(key)
		return
	}
	if n := d.young.ItemCount(); n >= d.half || time.Since(d.turned) >= d.ttl {
		d.old, d.young, d.turned = d.young, cache.New(d.ttl, 0), time.Now()
	}
	d.young.SetDefault(key, k) // the old generation may still have it too: the same, found second
}

// find must be called with mu held.
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

// wait waits for the end of the call that is under way for k. Called with mu held, which it gives up meanwhile.
func (d *dedupe) wait(ctx context.Context, k *known) error {
	ended := k.ended.watch()
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-ended:
		return nil
	}
}
