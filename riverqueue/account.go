package riverqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

const (
	// late is how far behind its slot a call may be where slots are asked for one by one: one that missed it takes a new
	// one, so that a process that was stopped for a while does not send what it held all at once.
	late = time.Second
	// blockTime is for how long a process may hold slots ahead where the limit is above 600 a minute. It bounds the
	// statements per second, and how long a call may still be made after another replica paused the account.
	blockTime = 100 * time.Millisecond
	// probeTime is how long the others wait for the outcome of one replica's probe: a probe that hangs or dies with its
	// process delays the next no longer.
	probeTime = 5 * time.Second
	// pollTime is how often a waiting process looks whether the pause is over.
	pollTime = 500 * time.Millisecond
)

const (
	// apart is the time between two calls of all replicas: 5 % below the limit and over 62 seconds. Even if a call is on its
	// way five seconds longer than another, no 60 seconds see more than the limit.
	apart = `(62 / (0.95 * requests_per_minute))`
	block = `(CASE WHEN probing THEN 1 ELSE greatest(1, floor($1::float8 / ` + apart + `)) END)` // slots that are given out at once
	// A time further ahead than can be is from before the database's clock stepped back.
	slotAhead  = `(clock_timestamp() + make_interval(secs => 60 + 16 * ` + apart + `))`
	pauseAhead = `(clock_timestamp() + interval '16 minutes')`
	inPause    = `(paused_until > clock_timestamp() AND paused_until < ` + pauseAhead + `)`
	inProbe    = `(probing AND probe_until > clock_timestamp() AND probe_until < clock_timestamp() + interval '1 minute')`

	agreeSQL = `WITH old AS (SELECT requests_per_minute AS n FROM $schema.fprom_account WHERE account_id = $account FOR UPDATE)
		UPDATE $schema.fprom_account SET requests_per_minute = $1 FROM old WHERE account_id = $account RETURNING old.n, clock_steps`
	slotsSQL = `UPDATE $schema.fprom_account SET
			next_slot = greatest(CASE WHEN next_slot < ` + slotAhead + ` THEN next_slot END, clock_timestamp()) + make_interval(secs => ` + apart + ` * ` + block + `),
			clock_steps = clock_steps + CASE WHEN next_slot > ` + slotAhead + ` OR paused_until > ` + pauseAhead + ` THEN 1 ELSE 0 END,
			paused_until = CASE WHEN paused_until < ` + pauseAhead + ` THEN paused_until ELSE '-infinity' END,
			probe_until = CASE WHEN probing THEN clock_timestamp() + make_interval(secs => $2::float8) ELSE probe_until END
		WHERE account_id = $account AND requests_per_minute > 0 AND NOT ` + inPause + ` AND NOT ` + inProbe + `
		RETURNING extract(epoch FROM next_slot - make_interval(secs => ` + apart + ` * ` + block + `) - clock_timestamp())::float8,
			` + block + `::integer, probing, requests_per_minute, clock_steps`
	pausedSQL = `SELECT extract(epoch FROM greatest(CASE WHEN ` + inPause + ` THEN paused_until END, CASE WHEN ` + inProbe + ` THEN probe_until END, clock_timestamp()) - clock_timestamp())::float8
		FROM $schema.fprom_account WHERE account_id = $account`
	pauseSQL = `UPDATE $schema.fprom_account SET paused_until = greatest(CASE WHEN ` + inPause + ` THEN paused_until END, clock_timestamp() + make_interval(secs => $1::float8)),
		pause_reason = $2, probing = true, probe_until = '-infinity' WHERE account_id = $account`
	probedSQL   = `UPDATE $schema.fprom_account SET probing = false, pause_reason = '' WHERE account_id = $account AND probing AND NOT ` + inPause
	unprobedSQL = `UPDATE $schema.fprom_account SET probe_until = '-infinity' WHERE account_id = $account AND probing`
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

// Pause tells all replicas that the account is paused for d.
func (q *Queue) Pause(ctx context.Context, d time.Duration, reason error) error {
	q.pauses.Add(1)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := q.pool.Exec(ctx, q.store.sql(pauseSQL), d.Seconds(), storable(reason.Error())); err != nil {
		return fmt.Errorf("fprom: riverqueue: pause: %w", err)
	}
	return nil
}

// concludeProbe ends the probe of d: with an answer that shows that the account works, or without a verdict.
func (q *Queue) concludeProbe(ctx context.Context, d *delivery, works bool) {
	if !d.probe {
		return
	}
	sql := unprobedSQL
	if works {
		sql = probedSQL
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := q.pool.Exec(ctx, q.store.sql(sql)); err != nil { // the others wait a few seconds longer
		q.outage.failed("store the end of a probe", err)
	}
}
