package riverqueue

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"time"
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
