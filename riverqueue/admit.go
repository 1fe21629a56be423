package riverqueue

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

// slots are the times at which this process may call, given out by the account's row.
type slots struct {
	mine  int           // the limit that this process asks for
	limit int           // the account's
	steps int           // back of the database's clock, seen so far
	apart time.Duration // between two calls of all replicas
	next  time.Time     // the first one left
	until time.Time     // the end of their validity
	left  int
	probe bool
	seen  uint64 // calls of Pause when they were given out
}

// delivery is what Admit and the worker whose context it was called with tell each other.
type delivery struct {
	bulk  bool
	probe bool // this call shows whether the account works
}

type deliveryKey struct{}

// Admit waits until this process may make one call under the limit that all replicas share, and until no replica has
// paused the account. Bulk events wait until no live one waits for its call in this process. After a pause one replica at a
// time may call, until a call shows that the account works. While the database cannot be reached nobody may call: Admit waits
// for it, too. Its error is ctx's, or fprom.ErrQueueClosed.
//
// requestsPerMinute becomes the account's limit, for all replicas. One that comes with another number says so in its log, and
// so do the others: the number of the last one that started is kept.
//
// If Pause is called in this process while Admit waits, Admit returns nil at once and has taken no slot: the Tracker
// makes no call then, but waits for the end of its pause and asks again. Were the slot, or the right to the one probe,
// given to it, it would be lost.
func (q *Queue) Admit(ctx context.Context, requestsPerMinute int) error {
	began := q.pauses.Load()
	d, ok := ctx.Value(deliveryKey{}).(*delivery)
	if !ok {
		d = &delivery{}
	}
	if !d.bulk {
		q.line.enter()
		defer q.line.leave()
		return q.admit(ctx, requestsPerMinute, began, d)
	}
	if err := q.take(ctx, q.line.bulk); err != nil {
		return err
	}
	defer func() { <-q.line.bulk }()
	for {
		if err := q.waitGone(ctx); err != nil {
			return err
		}
		if err := q.admit(ctx, requestsPerMinute, began, d); !errors.Is(err, errYield) {
			return err
		}
	}
}

// errYield says that a live event has come and gets the slot of a bulk one.
var errYield = errors.New("fprom: riverqueue: a live event comes first")

// admit waits for its turn and a slot.
func (q *Queue) admit(ctx context.Context, perMinute int, began uint64, d *delivery) error {
	if err := q.take(ctx, q.line.turn); err != nil {
		return err
	}
	defer func() { <-q.line.turn }()
	for q.pauses.Load() == began {
		ok, err := q.takeSlot(ctx, perMinute, d)
		if ok || err != nil {
			return err
		}
	}
	return nil
}

// takeSlot waits for a slot; false if there was none yet or it was missed.
func (q *Queue) takeSlot(ctx context.Context, perMinute int, d *delivery) (bool, error) {
	s := &q.slots
	if err := q.agree(ctx, perMinute); err != nil {
		return false, q.wait(ctx, "agree on the limit", err)
	}
	if s.left == 0 || time.Now().After(s.until) || s.seen != q.pauses.Load() {
		s.left, s.seen = 0, q.pauses.Load()
		if err := q.reserve(ctx); err != nil {
			return false, q.wait(ctx, "ask for a slot", err)
		}
		if s.left == 0 {
			return false, q.waitPause(ctx)
		}
	}
	wait := time.Until(s.next)
	if err := q.sleepUnless(ctx, wait, d.bulk); err != nil {
		return false, err // the slot is left for the next in the line
	}
	probe := s.probe
	s.next, s.left = s.next.Add(s.apart), s.left-1
	if wait > 50*time.Millisecond && !probe {
		paused, err := q.pausedFor(ctx)
		if err != nil {
			return false, q.wait(ctx, "look for a pause", err)
		}
		if paused > 0 {
			return false, nil
		}
	}
	d.probe = probe
	return !time.Now().After(s.until), nil
}

// sleepUnless waits for d; for a bulk event until a live one comes.
func (q *Queue) sleepUnless(ctx context.Context, d time.Duration, bulk bool) error {
	if !bulk {
		return q.sleep(ctx, d)
	}
	came, _ := q.line.channels()
	until, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-came:
		return errYield
	case <-q.closed:
		return fprom.ErrQueueClosed
	case <-until.Done():
		return ctx.Err()
	}
}

// agree makes perMinute the account's limit.
func (q *Queue) agree(ctx context.Context, perMinute int) error {
	s := &q.slots
	if s.mine == perMinute {
		return nil
	}
	var old int
	if err := q.pool.QueryRow(ctx, q.store.sql(agreeSQL), perMinute).Scan(&old, &s.steps); err != nil {
		return err
	}
	if old != 0 && old != perMinute {
		q.log.Warn("fprom: riverqueue: the account's limit is another now; give all replicas the same Config.RequestsPerMinute", "was", old, "is", perMinute)
	}
	s.mine, s.left = perMinute, 0
	s.adopt(perMinute)
	return nil
}

func (s *slots) adopt(perMinute int) {
	s.limit, s.apart = perMinute, time.Duration(62/(0.95*float64(perMinute))*float64(time.Second))
}

// reserve asks the account's row for the next block of slots. None are left if the account is paused.
func (q *Queue) reserve(ctx context.Context) error {
	s := &q.slots
	var wait float64
	var left, limit, steps int
	err := q.pool.QueryRow(ctx, q.store.sql(slotsSQL), blockTime.Seconds(), probeTime.Seconds()).Scan(&wait, &left, &s.probe, &limit, &steps)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	q.outage.over()
	if limit != s.limit {
		q.log.Warn("fprom: riverqueue: another replica set the account's limit, and this one keeps to it; give all the same Config.RequestsPerMinute", "limit", limit, "own", s.mine)
		s.adopt(limit)
	}
	if steps > s.steps {
		q.log.Warn("fprom: riverqueue: the database's clock stepped back; times that it gave out before are ignored. Look after its time synchronization")
	}
	s.steps = steps
	s.next, s.left = time.Now().Add(time.Duration(wait*float64(time.Second))), left
	s.until = s.next.Add(late)
	if left > 1 {
		s.until = s.next.Add(blockTime)
	}
	return nil
}

func (q *Queue) pausedFor(ctx context.Context) (time.Duration, error) {
	var secs float64
	err := q.pool.QueryRow(ctx, q.store.sql(pausedSQL)).Scan(&secs)
	return time.Duration(secs * float64(time.Second)), err
}

// waitPause waits a part of the pause, or of another replica's probe.
func (q *Queue) waitPause(ctx context.Context) error {
	d, err := q.pausedFor(ctx)
	if err != nil {
		return q.wait(ctx, "look for a pause", err)
	}
	return q.sleep(ctx, min(d+10*time.Millisecond, pollTime))
}

// wait waits a moment for the database. Its error means that waiting is over.
func (q *Queue) wait(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	q.outage.failed(what, err)
	return q.sleep(ctx, pollTime)
}
