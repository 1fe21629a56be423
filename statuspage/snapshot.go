package statuspage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
)

const (
	gatherTimeout = 5 * time.Second
	recentTimeout = 2 * time.Second // of it
	keepFor       = time.Second     // and ten times as long as it took to read, so that pages left open cost little
	redriveTakes  = 2 * time.Minute
	recentShown   = 15
	readAtMost    = 20_000 // of those that wait, for the picture of the backlog
	slots         = 96     // of the backlog
	slotLength    = 15 * time.Minute
	barLength     = 30 * time.Minute
	day           = 24 * time.Hour
)

// snapshot is everything that the page knows at a moment.
type snapshot struct {
	at      time.Time
	took    time.Duration
	service *fprom.Stats     // nil without a Tracker
	queue   fprom.QueueStats // with what the Tracker knows better
	own     bool             // the calls of the last minute are those of this process
	durable bool             // there is an Outbox
	day     []fprom.Bucket   // the last 24 h in half hours
	hour    []fprom.Bucket   // the last hour in minutes
	backlog []int            // how many waited, by slot; the last one is now
	recent  []fprom.Entry    // newest first
	from    string           // the cursor before them
	large   bool             // reading them takes too long
	broken  error            // the outbox cannot be read
	compare *Comparison      // the last one with FirstPromoter; nil: none are made
	redrive bool             // this page has just put dead letters back, whose age says nothing
	nothing bool             // neither a Tracker nor an Outbox
}

// outbox is what the page shows; nil if there is none. Call end after its use.
func (p *page) outbox() (o fprom.Outbox, end func(), err error) {
	if p.Open != nil {
		p.opened.Lock()
		if o, err = p.Open(); err != nil {
			p.opened.Unlock()
			return nil, nil, err
		}
		return o, func() { defer p.opened.Unlock(); _ = o.Close() }, nil // it was only read, or answered what it did
	}
	if o = p.Outbox; o == nil {
		o, _ = p.tracker.Outbox()
	}
	return o, func() {}, nil
}

// look returns the last snapshot while it is fresh, else a new one.
func (p *page) look(ctx context.Context) snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.last.at.IsZero() && time.Since(p.last.at) < max(keepFor, 10*p.last.took) {
		return p.last
	}
	// It is for all who ask, so it does not end with the one who asked first.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gatherTimeout)
	defer cancel()
	p.last = p.gather(ctx)
	return p.last
}

// forget makes the next look a new one.
func (p *page) forget(redriven bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if redriven {
		p.redriven = time.Now()
	}
	p.last = snapshot{from: p.last.from}
}

func (p *page) gather(ctx context.Context) snapshot {
	s := snapshot{at: time.Now(), nothing: p.tracker == nil, from: p.last.from, redrive: time.Since(p.redriven) < redriveTakes}
	if p.tracker != nil {
		stats := p.tracker.Stats() //nolint:contextcheck // it has a time-out of its own
		s.service, s.queue = &stats, stats.Queue
	}
	s.broken = s.read(ctx, p)
	if p.Compared != nil {
		c := p.Compared()
		s.compare = &c
	}
	s.merge()
	n := s.queue.Pending + s.queue.Bulk
	p.trail.note(s.at, n)
	s.backlog = p.trail.over(s.backlog)
	s.backlog[slots-1] = n
	s.took = time.Since(s.at)
	return s
}

// read reads the outbox, if there is one. What could be read before an error stays.
func (s *snapshot) read(ctx context.Context, p *page) error {
	o, end, err := p.outbox()
	if err == nil && o == nil {
		return nil
	}
	s.durable, s.nothing = true, false
	if err != nil {
		return err
	}
	defer end()
	q, err := o.Stats(ctx)
	if err != nil {
		return err
	}
	s.queue = q
	now := s.at
	if s.day, err = o.History(ctx, now.Add(-day+barLength), now, barLength); err != nil {
		return fmt.Errorf("the history: %w", err)
	}
	if s.hour, err = o.History(ctx, now.Add(-59*time.Minute), now, time.Minute); err != nil {
		return fmt.Errorf("the history: %w", err)
	}
	if s.backlog, err = waited(ctx, o, now, q.Pending+q.Bulk); err != nil {
		return fmt.Errorf("what waits: %w", err)
	}
	if err = s.readRecent(ctx, o); err != nil {
		return fmt.Errorf("the recent events: %w", err)
	}
	return nil
}

// merge adds to the queue's figures what only the Tracker knows.
func (s *snapshot) merge() {
	t := s.service
	if t == nil {
		return
	}
	s.queue.Breaker = cmp.Or(t.Breaker, s.queue.Breaker)
	if !t.PausedUntil.IsZero() {
		s.queue.PausedUntil, s.queue.PauseReason = t.PausedUntil, t.PauseReason
	}
	if s.queue.LastMinute == nil {
		s.queue.LastMinute, s.own = &t.LastMinute, true
	}
	if t.LastSuccess.After(s.queue.LastSuccess) {
		s.queue.LastSuccess = t.LastSuccess
	}
}

// waited is, for each slot, how many of the n that wait now waited already. Those that are not read have come with the last
// one that is.
func waited(ctx context.Context, o fprom.Outbox, now time.Time, n int) ([]int, error) {
	counts := make([]int, slots)
	read, slot := 0, 0
	for e, err := range o.Entries(ctx, fprom.Filter{State: fprom.StateWaiting, Limit: readAtMost}) {
		if err != nil {
			return nil, err
		}
		slot = slotOf(e.RecordedAt, now)
		counts[slot]++
		read++
	}
	if read == readAtMost {
		counts[slot] += max(n-read, 0)
	}
	for i := 1; i < slots; i++ {
		counts[i] += counts[i-1]
	}
	return counts, nil
}

// slotOf is the slot of t: the last one ends now, and the first one holds everything before it too.
func slotOf(t, now time.Time) int {
	return min(max(slots-1-int(now.Sub(t)/slotLength), 0), slots-1)
}

// readRecent reads the newest entries, the newest first. An Outbox ranges from the oldest on: so it begins where it began the
// last time, and the first time a day ago, or a month if nothing happened since. A ledger can be too large for one look: then
// the next one goes on from there.
func (s *snapshot) readRecent(ctx context.Context, o fprom.Outbox) (err error) {
	ctx, cancel := context.WithTimeout(ctx, recentTimeout)
	defer cancel()
	f := fprom.Filter{After: s.from}
	if s.from == "" {
		f.Since = s.at.Add(-day)
		if s.queue.Pending+s.queue.Bulk == 0 && !slices.ContainsFunc(s.day, func(b fprom.Bucket) bool { return total(b) > 0 }) {
			f.Since = s.at.Add(-30 * day)
		}
	}
	s.recent, s.from, err = last(ctx, o, f)
	if s.large = ctx.Err() != nil; s.large {
		s.recent, err = nil, nil
	}
	return err
}

// last are the last entries that f selects, the last one first, and the cursor before them if there is one. With an error
// they are those that were read before it.
func last(ctx context.Context, o fprom.Outbox, f fprom.Filter) (found []fprom.Entry, before string, err error) {
	before = f.After
	for e, err := range o.Entries(ctx, f) {
		if err != nil {
			return found, before, err
		}
		if len(found) == recentShown {
			before = found[0].Cursor
			found = append(found[:0], found[1:]...)
		}
		found = append(found, e)
	}
	slices.Reverse(found)
	return found, before, nil
}

// trail remembers how many waited when somebody asked: an outage that is over is in no outbox.
type trail struct {
	most [slots]int
	slot int64 // number of the newest slot since 1970
}

func (t *trail) note(now time.Time, n int) {
	slot := now.UnixNano() / int64(slotLength)
	for range min(max(slot-t.slot, 0), slots) {
		copy(t.most[:], t.most[1:])
		t.most[slots-1] = 0
	}
	t.slot = max(t.slot, slot)
	t.most[slots-1] = max(t.most[slots-1], n)
}

// over is the greater of both for each slot.
func (t *trail) over(counts []int) []int {
	out := make([]int, slots)
	copy(out, counts)
	for i := range out {
		out[i] = max(out[i], t.most[i])
	}
	return out
}

// ready says why readyz fails, or nil.
func (s snapshot) ready(limit time.Duration) error {
	switch {
	case s.broken != nil:
		return fmt.Errorf("the outbox cannot be read: %w", s.broken)
	case s.service != nil && s.service.PutError != "":
		return errors.New("the last event was not stored: " + s.service.PutError)
	case s.refused():
		return errors.New("FirstPromoter refuses the credentials")
	case s.late(limit):
		return fmt.Errorf("the oldest event waits for %s", age(s.at.Sub(s.queue.Oldest)))
	default:
		return nil
	}
}
