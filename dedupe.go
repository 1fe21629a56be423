package fprom

import (
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
	// MaxEntries is how many ids are remembered at most, with those of events that wait in a durable queue. If there are more, the older
	// half is forgotten, except for events that are sent again. Default 262,144. Durable queues and FirstPromoter (409) know older ids.
	MaxEntries int
}

// dedupe remembers event ids in two generations of go-cache. When the young one is full or a TTL old, it becomes the old one,
// and the previous old one is dropped as a whole. Ids of events that are sent again, or wait in a queue that does not outlive the process,
// must not be dropped, so they are apart.
type dedupe struct {
	cfg Config // with the defaults filled in

	mu         sync.Mutex
	again      *cache.Cache // the ids with a failure or a NotReferral, for more than a day after their last attempt; see set
	young, old *cache.Cache // the other ids
	youngSince time.Time
	sending    map[string]chan struct{} // ids of the calls under way; closed when the call has ended
}

// known is what this process knows of an event id.
type known struct {
	digest    uint64    // of the event that waits, was delivered, or was the last that the queue's attempt found wrong
	waits     bool      // the queue has stored it, and it has no outcome. Never set if other processes deliver too
	sent      bool      // a call got no outcome: it may have registered the event
	delivered Outcome   // of the delivery; empty if there was none
	failure   *failure  // of the attempts without an outcome; nil if there is none. Only the call under way may change it
	notFound  time.Time // the first NotReferral of a sale that is asked about again; zero if there is none
}

func newDedupe(c Config) *dedupe {
	ttl, longest := c.Dedupe.TTL, slices.Max(append([]time.Duration{0}, c.Retry.NotFound...))
	return &dedupe{
		cfg: c, sending: map[string]chan struct{}{}, youngSince: time.Now(),
		again: cache.New(longest+giveUpAfter, 0), young: cache.New(ttl, 0), old: cache.New(ttl, 0),
	}
}

// get is called with mu held, as set is.
func (d *dedupe) get(key string) known {
	for _, c := range []*cache.Cache{d.young, d.old, d.again} {
		if v, ok := c.Get(key); ok {
			return v.(known) // set leaves an id in one place only
		}
	}
	return known{}
}

func (d *dedupe) set(key string, k known) {
	d.again.Delete(key)
	d.young.Delete(key)
	d.old.Delete(key)
	_, volatile := d.cfg.Queue.(UndeliveredLister) // only this process knows its events, and each gets its outcome here
	switch {
	case volatile && k.waits:
		d.again.Set(key, k, cache.NoExpiration)
	case k.failure != nil || !k.notFound.IsZero():
		d.again.SetDefault(key, k)
	case k != known{}: // otherwise nothing is known, and the id takes no place
		if ttl := d.cfg.Dedupe.TTL; d.young.ItemCount() >= d.cfg.Dedupe.MaxEntries/2 || time.Since(d.youngSince) >= ttl {
			d.again.DeleteExpired()
			d.old, d.young, d.youngSince = d.young, cache.New(ttl, 0), time.Now()
		}
		d.young.SetDefault(key, k)
	}
}

// conflicts reports whether m has another amount than the event that was delivered or, if waiting is true, than the one that waits:
// Record and Track ask for this, and Put finds such a conflict itself.
func (k known) conflicts(m Message, waiting bool) bool {
	return k.digest != m.Digest && (k.delivered != "" || waiting && k.waits)
}

// look returns the known of an id.
func (d *dedupe) look(key string) known {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.get(key)
}

// stored notes which of ms the queue has: they wait. An event with an outcome may wait no more: it got that before Put returned, or the
// queue had not removed it yet, and took m for its repeat.
func (d *dedupe) stored(ms []Message, has func(Message) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range ms {
		if k := d.get(m.Key); has(m) && k.delivered == "" && k.digest != m.Digest {
			k.digest, k.waits = m.Digest, true
			d.set(m.Key, k)
		}
	}
}

// beginSend reports whether a may be sent. If so, endSend must follow. If not, the verdict says why. If another call sends an event
// with this id, beginSend waits for the end of that call.
func (d *dedupe) beginSend(ctx context.Context, a *attempt) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		a.known = d.get(a.Key)
		other, sending := d.sending[a.Key]
		switch {
		case a.known.conflicts(a.Message, !a.queued):
			a.verdict = verdict{Result: Result{Outcome: Rejected}, class: classRejected, err: &ConflictError{Keys: []string{a.Key}}}
			return false
		case a.known.delivered != "":
			a.verdict = verdict{Result: Result{Outcome: Duplicate}}
			if a.known.delivered == NotReferral { // FirstPromoter has registered nothing
				a.Outcome = NotReferral
			}
			return false
		case !sending:
			d.sending[a.Key] = make(chan struct{})
			a.tried = a.known.sent || a.Attempt > 1
			return true
		case ctx.Err() != nil:
			a.unsent(ctx.Err())
			return false
		}
		d.mu.Unlock()
		_ = sleepOr(ctx, time.Hour, other)
		d.mu.Lock()
	}
}

// endSend follows beginSend. It remembers an event that is done, but no NotReferral of Track, which may have come too early.
func (d *dedupe) endSend(a *attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.sending[a.Key])
	delete(d.sending, a.Key)
	k := d.get(a.Key)
	k.sent, k.failure, k.notFound = k.sent || a.sent && !a.good(), a.known.failure, a.known.notFound
	final := a.class == classDone && (a.queued || a.Outcome != NotReferral)
	if final || a.queued && a.class == classRejected {
		k = known{digest: a.Digest, sent: k.sent}
	}
	if final && !a.Repeats() {
		k.delivered = a.Outcome
	}
	d.set(a.Key, k)
}
