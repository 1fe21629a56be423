package statuspage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
	"github.com/fprom-go/fprom/internal/verdict"
)

const (
	gatherTimeout = 5 * time.Second
	recentTimeout = 2 * time.Second // the part of gatherTimeout for the recent events
	keepFor       = time.Second     // a snapshot is used this long, or ten times as long as its reading took
	closedAtMost  = 2 * time.Second // the pause after a read is four times as long as that, up to this
	redriveTakes  = 2 * time.Minute
	recentShown   = 15
	readAtMost    = 20_000 // waiting events that are read for the backlog
	slots         = 96     // points of the backlog
	slotLength    = 15 * time.Minute
	barLength     = 30 * time.Minute
	day           = 24 * time.Hour
)

// snapshot is everything that the page shows at a moment.
type snapshot struct {
	at      time.Time
	took    time.Duration
	service *fprom.Stats     // nil without a Tracker
	queue   fprom.QueueStats // of the outbox, completed by the Tracker
	own     bool             // LastMinute counts the calls of this process only
	durable bool             // there is an Outbox
	day     []fprom.Bucket   // the last 24 h in half hours
	hour    []fprom.Bucket   // the last hour in minutes
	failing string           // what verdict.Failing says
	backlog []int            // number of waiting events by slot; the last slot is now
	recent  []fprom.Entry    // newest first
	from    string           // the cursor before recent
	large   bool             // reading recent takes too long
	dead    []fprom.Entry    // what readDead returns from the first one on
	broken  error            // why the outbox cannot be read
	compare *Comparison      // nil without Options.Compared
	redrive bool             // this page has just redriven dead letters: ignore the age of the oldest event
	nothing bool             // there is neither a Tracker nor an Outbox
}

// outbox returns the outbox that the page shows, or nil. The caller must call end after its use.
func (p *page) outbox() (o fprom.Outbox, end func(), err error) {
	if p.Open != nil {
		p.opened <- struct{}{}
		began := time.Now()
		if o, err = p.Open(); err != nil {
			<-p.opened
			return nil, nil, err
		}
		return o, func() {
			pause := min(4*time.Since(began), closedAtMost)
			defer time.AfterFunc(pause, func() { <-p.opened })
			_ = o.Close() // after an action its answer counts
		}, nil
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
	// The snapshot is for all requests, so the end of the first one must not cancel it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gatherTimeout)
	defer cancel()
	p.last = p.gather(ctx)
	return p.last
}

// forget makes the next look read the outbox again.
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

// read reads the outbox, if there is one. After an error it keeps what it has read.
func (s *snapshot) read(ctx context.Context, p *page) error {
	o, end, err := p.outbox()
	if err == nil && o == nil {
		if s.service != nil && s.service.QueueError != "" {
			return errors.New(s.service.QueueError)
		}
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
	if s.failing, err = verdict.Failing(ctx, o, q, now); err != nil {
		return fmt.Errorf("the waiting events: %w", err)
	}
	if s.backlog, err = waited(ctx, o, now, q.Pending+q.Bulk); err != nil {
		return fmt.Errorf("the waiting events: %w", err)
	}
	err = s.readRecent(ctx, o)
	if s.dead = readDead(ctx, o, ""); err != nil {
		return fmt.Errorf("the recent events: %w", err)
	}
	return nil
}

// merge adds the Tracker's figures to the outbox's.
func (s *snapshot) merge() {
	t := s.service
	if t == nil {
		return
	}
	s.queue.Breaker = cmp.Or(t.Breaker, s.queue.Breaker)
	if !t.PausedUntil.IsZero() && !verdict.Stopped(s.queue) {
		s.queue.PausedUntil, s.queue.PauseReason = t.PausedUntil, t.PauseReason
	}
	s.queue.Conflicts = max(s.queue.Conflicts, int(t.Conflicts)) // the outbox gets no event that the Tracker refuses
	if s.queue.LastMinute == nil {
		s.queue.LastMinute, s.own = &t.LastMinute, true
	}
	if t.LastSuccess.After(s.queue.LastSuccess) {
		s.queue.LastSuccess = t.LastSuccess
	}
	t.Queue = s.queue // status.json has both, which must not differ
}

// waited returns for each slot how many of the n waiting events were waiting then. Events beyond readAtMost are counted in the
// slot of the last one that was read.
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

// slotOf is the slot of t. The last slot ends now. The first one also has everything before it.
func slotOf(t, now time.Time) int {
	return min(max(slots-1-int(now.Sub(t)/slotLength), 0), slots-1)
}

// readRecent reads the newest entries, newest first. An Outbox ranges from the oldest on. So readRecent starts at the cursor of
// the last time; the first time it starts a day ago, or a month ago if nothing happened since. If the ledger is too large for one
// read, the next one goes on from there.
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

// last returns the last entries that f selects, the last one first, and the cursor before them. With an error it returns what it
// read before.
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

// trail remembers how many events waited when somebody looked: after an outage no outbox shows its backlog.
type trail struct {
	most [slots]int // the largest number of waiting events by slot
	slot int64      // the newest slot, counted since 1970
}

func (t *trail) note(now time.Time, n int) {
	slot := now.UnixNano() / int64(slotLength)
	if slot < t.slot-1 { // the clock was ahead, by more than is corrected now and then
		*t = trail{slot: slot}
	}
	for range min(max(slot-t.slot, 0), slots) {
		copy(t.most[:], t.most[1:])
		t.most[slots-1] = 0
	}
	t.slot = max(t.slot, slot)
	t.most[slots-1] = max(t.most[slots-1], n)
}

// over returns the larger number of both for each slot.
func (t *trail) over(counts []int) []int {
	out := make([]int, slots)
	copy(out, counts)
	for i := range out {
		out[i] = max(out[i], t.most[i])
	}
	return out
}

// ready returns why readyz fails, or nil.
func (s snapshot) ready(limit time.Duration) error {
	switch {
	case s.nothing:
		return errors.New("there is no tracker")
	case s.broken != nil:
		return fmt.Errorf("the outbox cannot be read: %w", s.broken)
	case s.service != nil && s.service.PutError != "":
		return errors.New("the last event was not stored: " + s.service.PutError)
	case verdict.Stopped(s.queue):
		return errors.New("nothing is delivered: " + safelog.WithoutName(s.queue.PauseReason))
	case s.refused():
		return errors.New("FirstPromoter refuses the credentials")
	case s.late(limit):
		return fmt.Errorf("the oldest event has waited for %s", verdict.Age(s.at.Sub(s.queue.Oldest)))
	default:
		return nil
	}
}
