package riverqueue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
)

// replica is this process among those that run the queue: its sign of life, and the upkeep that each of them does.
//
// River gives a job of a dead process back after an hour. Here every replica says every fifth of Config.Lease that it
// lives; what one that is silent for a whole lease had in hand is taken over by making a new job of it, so that nothing
// the old owner may still do to the old job has an effect. Nobody takes over before it has itself been heard without a
// gap for longer than a lease: after a restart of PostgreSQL all have had the time to say that they live.
type replica struct {
	q      *Queue
	id     string
	mu     sync.Mutex
	beatAt time.Time           // of the last sign of life
	steady time.Time           // since when there was no gap
	hand   map[int64]time.Time // job → when its worker was done with it; zero while it works
}

func newReplica(q *Queue) *replica {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &replica{q: q, id: fmt.Sprintf("%.60s_%d_%s", host, os.Getpid(), rand.Text()[:10]), hand: map[int64]time.Time{}}
}

func (r *replica) take(job int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hand[job] = time.Time{}
}

func (r *replica) release(job int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hand[job] = time.Now()
}

// held lists the jobs that this process has in hand, with those whose end River may still be storing.
func (r *replica) held() []int64 {
	const storing = 30 * time.Second
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]int64, 0, len(r.hand))
	for id, done := range r.hand {
		if !done.IsZero() && time.Since(done) > storing {
			delete(r.hand, id)
			continue
		}
		ids = append(ids, id)
	}
	return ids
}

func (r *replica) sinceBeat() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.beatAt)
}

// beat is the sign of life.
func (r *replica) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.q.cfg.Lease/2)
	defer cancel()
	begun := time.Now()
	if _, err := r.q.pool.Exec(ctx, r.q.store.sql.beat, r.id); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if begun.Sub(r.beatAt) > r.q.cfg.Lease {
		r.steady = begun
	}
	r.beatAt = begun
	return nil
}

// mayTakeOver reports whether this process has been heard long enough to judge others.
func (r *replica) mayTakeOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.steady) > r.q.cfg.Lease+r.q.cfg.Lease/3
}

// upkeep runs until ctx ends.
func (r *replica) upkeep(ctx context.Context) {
	q := r.q
	tick := time.NewTicker(q.cfg.Lease / 5)
	defer tick.Stop()
	var restored, pruned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := r.beat(ctx)
		if err == nil && r.mayTakeOver() {
			err = q.takeOver(ctx, r)
		}
		if err == nil && time.Since(restored) > time.Minute {
			restored = time.Now()
			err = q.restore(ctx)
		}
		if err == nil && time.Since(pruned) > time.Hour {
			pruned = time.Now()
			err = q.prune(ctx)
		}
		if err != nil && ctx.Err() == nil {
			q.log.Warn("riverqueue: the database fails; upkeep is tried again", "error", err)
		}
	}
}

// leave takes the replica off the list; what it may have left behind is taken over at once.
func (r *replica) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := r.q.pool.Exec(ctx, r.q.store.sql.leave, r.id); err != nil {
		r.q.log.Info("riverqueue: the end of this replica was not stored; the others notice it by themselves", "error", err)
	}
}

// takeOver makes new jobs of those that nobody has in hand any more: of silent replicas, and of this one where the
// answer to a fetch got lost with its connection.
func (q *Queue) takeOver(ctx context.Context, r *replica) error {
	held := r.held()
	var n int
	err := q.transact(ctx, &pgx.Batch{}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, q.store.sql.takeOver, jobQueue, q.cfg.Lease.Seconds(), held, r.id)
		if err != nil {
			return err
		}
		ms, err := collectArgs(rows)
		if err != nil || len(ms) == 0 {
			return err
		}
		ms, err = q.stillOpen(ctx, tx, ms)
		n = len(ms)
		if err != nil {
			return err
		}
		return q.store.insertJobs(ctx, tx, ms)
	})
	if err == nil && n > 0 {
		q.log.Warn("riverqueue: events that a vanished replica had in hand were taken over", "events", n)
	}
	return err
}

func collectArgs(rows pgx.Rows) ([]fprom.Message, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (fprom.Message, error) {
		var raw []byte
		var args eventArgs
		if err := row.Scan(&raw); err != nil {
			return fprom.Message{}, err
		}
		err := json.Unmarshal(raw, &args)
		return args.message(), err
	})
}

// stillOpen returns those of ms that wait for their outcome and have no other job.
func (q *Queue) stillOpen(ctx context.Context, tx pgx.Tx, ms []fprom.Message) ([]fprom.Message, error) {
	keys := make([]string, len(ms))
	for i, m := range ms {
		keys[i] = m.Key
	}
	rows, err := tx.Query(ctx, q.store.sql.open, keys)
	if err != nil {
		return nil, err
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	isOpen := make(map[string]bool, len(open))
	for _, key := range open {
		isOpen[key] = true
	}
	left := ms[:0]
	for _, m := range ms {
		if isOpen[m.Key] {
			isOpen[m.Key] = false // once
			left = append(left, m)
		}
	}
	return left, nil
}

// restore looks for events whose job was ended from outside: cancelled by hand they become dead letters, deleted as
// well (without a body), discarded ones get a new job.
func (q *Queue) restore(ctx context.Context) error {
	type found struct {
		Args  []byte
		State string
	}
	rows, err := q.pool.Query(ctx, q.store.sql.lost, jobKind)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[found])
	if err != nil {
		return err
	}
	for _, f := range all {
		var args eventArgs
		if err := json.Unmarshal(f.Args, &args); err != nil {
			return err
		}
		if err := q.restoreOne(ctx, args, f.State); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) restoreOne(ctx context.Context, args eventArgs, state string) error {
	s := &q.store.sql
	return q.transact(ctx, &pgx.Batch{}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, s.lock, q.lane(args.Customer)); err != nil {
			return err
		}
		if state == "discarded" {
			return q.store.insertJobs(ctx, tx, []fprom.Message{args.message()})
		}
		var body *string // a deleted job took it along
		if state != "deleted" {
			body = &args.Body
		}
		q.log.Warn("riverqueue: a job was ended in River by hand; its event is a dead letter", "how", state)
		if _, err := tx.Exec(ctx, s.settle, args.Key, "dead", state+" in River", body); err != nil || args.Customer == "" {
			return err
		}
		return q.promote(ctx, tx, args.Customer)
	})
}

// promote makes a job of the next event of customer if it has none. The customer's lock is held.
func (q *Queue) promote(ctx context.Context, tx pgx.Tx, customer string) error {
	rows, err := tx.Query(ctx, q.store.sql.promote, customer)
	if err != nil {
		return err
	}
	next, err := collectMessages(rows)
	if err != nil {
		return err
	}
	return q.store.insertJobs(ctx, tx, next)
}

// prune forgets what was delivered longer than Config.Retention ago, a thousand at a time.
func (q *Queue) prune(ctx context.Context) error {
	if _, err := q.pool.Exec(ctx, q.store.sql.forget); err != nil {
		return err
	}
	for range 100 {
		tag, err := q.pool.Exec(ctx, q.store.sql.prune, q.cfg.Retention.Seconds())
		if err != nil || tag.RowsAffected() < 1000 {
			return err
		}
	}
	return nil
}
