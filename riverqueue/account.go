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

// slots are the times at which this process may call, given out by the account's row.
type slots struct {
	apart time.Duration // seconds between two calls of all replicas, as a duration
	secs  float64       // the same, exact
	block int           // how many are asked for at once
	valid time.Duration // how long they are good for, from the first one on
	next  time.Time     // the first one left
	until time.Time     // the end of their validity
	left  int
	probe bool
}

// newSlots spaces calls evenly, 5 % below the limit and over 62 seconds: even if a call is on its way five seconds
// longer than another, no 60 seconds see more than perMinute.
func newSlots(perMinute int) slots {
	secs := 62 / (0.95 * float64(perMinute))
	apart := time.Duration(secs * float64(time.Second))
	s := slots{apart: apart, secs: secs, block: 1, valid: late}
	if n := int(min(blockTime.Seconds()/secs, 1e6)); n > 1 {
		s.block, s.valid = n, blockTime
	}
	return s
}

// delivery is what Admit tells the worker whose context it was called with.
type delivery struct{ probe bool }

type deliveryKey struct{}

var errClosed = fprom.ErrQueueClosed

// Admit waits until this process may make one call under the limit that all replicas share, and until no replica has
// paused the account. After a pause one replica at a time may call, until a call shows that the account works. While
// the database cannot be reached nobody may call: Admit waits for it, too. Its error is ctx's, or that of a closed queue.
//
// If Pause is called in this process while Admit waits, Admit returns nil at once and has taken no slot: the Tracker
// makes no call then, but waits for the end of its pause and asks again. Were the slot, or the right to the one probe,
// given to it, it would be lost.
func (q *Queue) Admit(ctx context.Context, _ int) error {
	began := q.pauses.Load()
	select {
	case q.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-q.gate }()
	for q.pauses.Load() == began {
		if err := q.fresh(ctx); err != nil {
			return err
		}
		ok, err := q.takeSlot(ctx)
		if err != nil {
			return err
		}
		if ok {
			break
		}
	}
	return nil
}

// takeSlot waits for a slot; false if there was none yet or it was missed.
func (q *Queue) takeSlot(ctx context.Context) (bool, error) {
	s := &q.slots
	if s.left == 0 || time.Now().After(s.until) {
		s.left = 0
		if err := q.reserve(ctx); err != nil {
			return false, q.outage(ctx, "ask for a slot", err)
		}
		if s.left == 0 {
			return false, q.waitPause(ctx)
		}
	}
	slot, probe := s.next, s.probe
	s.next, s.left = s.next.Add(s.apart), s.left-1
	wait := time.Until(slot)
	if err := q.sleep(ctx, wait); err != nil {
		return false, err
	}
	if wait > 50*time.Millisecond && !probe {
		paused, err := q.pausedFor(ctx)
		if err != nil {
			return false, q.outage(ctx, "look for a pause", err)
		}
		if paused > 0 {
			return false, nil
		}
	}
	if time.Now().After(s.until) {
		return false, nil
	}
	if d, ok := ctx.Value(deliveryKey{}).(*delivery); ok {
		d.probe = probe
	}
	return true, nil
}

// reserve asks the account's row for the next block of slots. None are left if the account is paused.
func (q *Queue) reserve(ctx context.Context) error {
	s := &q.slots
	var wait float64
	err := q.pool.QueryRow(ctx, q.store.sql.slots, s.secs, s.block, probeTime.Seconds()).Scan(&wait, &s.probe)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	s.next, s.left = time.Now().Add(time.Duration(wait*float64(time.Second))), s.block
	s.until = s.next.Add(s.valid)
	if s.probe {
		s.left = 1
	}
	return nil
}

func (q *Queue) pausedFor(ctx context.Context) (time.Duration, error) {
	var secs float64
	err := q.pool.QueryRow(ctx, q.store.sql.paused).Scan(&secs)
	return time.Duration(secs * float64(time.Second)), err
}

// waitPause waits a part of the pause, or of another replica's probe.
func (q *Queue) waitPause(ctx context.Context) error {
	d, err := q.pausedFor(ctx)
	if err != nil {
		return q.outage(ctx, "look for a pause", err)
	}
	return q.sleep(ctx, min(d+10*time.Millisecond, pollTime))
}

// outage logs an error of the database and waits a moment. Its own error means that waiting is over.
func (q *Queue) outage(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	q.log.Warn("riverqueue: the database fails; delivery waits for it", "what", what, "error", err)
	return q.sleep(ctx, pollTime)
}

// fresh waits until this process's sign of life is younger than its lease: after a stop (SIGSTOP, a suspended machine)
// others may have taken over what it has in hand. A call that was admitted before the stop is made safe by the event id.
func (q *Queue) fresh(ctx context.Context) error {
	for {
		r := q.running.Load()
		if r == nil || r.sinceBeat() < q.cfg.Lease {
			return nil
		}
		if err := q.sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// Pause tells all replicas that the account is paused for d.
func (q *Queue) Pause(ctx context.Context, d time.Duration, reason error) error {
	q.pauses.Add(1)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := q.pool.Exec(ctx, q.store.sql.pause, d.Seconds(), reason.Error()); err != nil {
		return fmt.Errorf("riverqueue: pause: %w", err)
	}
	return nil
}

// concludeProbe ends the probe of d: with an answer that shows that the account works, or without a verdict.
func (q *Queue) concludeProbe(ctx context.Context, d *delivery, works bool) {
	if !d.probe {
		return
	}
	sql := q.store.sql.unprobed
	if works {
		sql = q.store.sql.probed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if _, err := q.pool.Exec(ctx, sql); err != nil {
		q.log.Warn("riverqueue: the end of a probe was not stored; the others wait a few seconds longer", "error", err)
	}
}

// sleep waits for d, the end of ctx or Close.
func (q *Queue) sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-q.closed:
		return errClosed
	case <-timer.C:
		return nil
	}
}
