package riverqueue

import (
	"context"
	"time"
)

const (
	// pollTime is how often a process that waits for the database, or for the end of a pause, looks again.
	pollTime = 500 * time.Millisecond
	// bulkPatience is how long a bulk event leaves all calls to live ones. It holds a worker meanwhile, perhaps the only one.
	bulkPatience = 5 * time.Second
)

const steppedBack = "fprom: riverqueue: the database's clock stepped back; times that were stored before are ignored. Check the time synchronization of the database server"

// bulkKey is the key of a value in the context of a delivery: is the event bulk?
type bulkKey struct{}

const (
	admitSQL = `SELECT wait, was, is_now, stepped_back FROM $schema.fprom_admit($1, $2, $3)`
	inPause  = `$schema.fprom_ahead(paused_until, '16 minutes')`
	pauseSQL = `UPDATE $schema.fprom_account SET paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => $1)),
		pause_reason = $2 WHERE account_id = $account`
)

// Admit waits until this process may make one call under the limit that all replicas share. In a pause of the account, and
// while the database cannot be reached, no process may call. The error is ctx's, or fprom.ErrQueueClosed.
//
// requestsPerMinute becomes the account's limit, for all replicas: the number of the replica whose first call came last counts.
// Each replica logs a warning when the number changes.
func (q *Queue) Admit(ctx context.Context, requestsPerMinute int) error {
	bulk, _ := ctx.Value(bulkKey{}).(bool)
	turn := q.turns[bulk]
	if err := wait(ctx, q, turn); err != nil {
		return err
	}
	defer func() { turn <- struct{}{} }()
	for begun := time.Now(); ; {
		left := q.takeSlot(ctx, requestsPerMinute, bulk && time.Since(begun) < bulkPatience)
		if ctx.Err() != nil || left <= 0 {
			return ctx.Err()
		}
		if err := wait(ctx, q, time.After(min(left, pollTime))); err != nil {
			return err
		}
	}
}

// takeSlot takes a call. If none is left, or the database fails, it returns how long to wait before asking again.
func (q *Queue) takeSlot(ctx context.Context, perMinute int, bulk bool) (left time.Duration) {
	var secs float64
	var was, limit int
	var stepped bool
	bound, cancel := context.WithTimeout(ctx, 3*time.Second) // the server may be gone without a word
	defer cancel()
	err := q.row(bound, q.sql(admitSQL), min(perMinute, 1<<31-1), q.limit.Load(), bulk).Scan(&secs, &was, &limit, &stepped)
	if ctx.Err() != nil {
		return 0
	}
	if q.note("wait for the rate limit", err); err != nil {
		return pollTime
	}
	q.limit.Store(int64(limit))
	if was != limit && was != 0 {
		q.cfg.Logger.Warn("fprom: riverqueue: a replica changed the account's limit; give all the same Config.RequestsPerMinute", "was", was, "is", limit)
	}
	if stepped {
		q.cfg.Logger.Warn(steppedBack)
	}
	return time.Duration(secs * float64(time.Second))
}

// Pause tells all replicas that the account is paused for d.
func (q *Queue) Pause(ctx context.Context, d time.Duration, reason error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return explain("pause", q.row(ctx, q.sql(pauseSQL), d.Seconds(), storable(reason.Error())).Scan())
}
