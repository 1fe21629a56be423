package riverqueue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
)

const (
	dbTimeout = 10 * time.Second
	// completedJobs are kept by River so long. They say nothing that the ledger does not.
	completedJobs = time.Hour
	// fetchCooldown bounds how often a free worker asks for the next job.
	fetchCooldown = 5 * time.Millisecond
	// stopTime is how long River may store how its jobs ended. A job whose end is not stored wakes its event once more.
	stopTime = 5 * time.Second
)

type deliverFunc = func(context.Context, fprom.Message) (fprom.Result, error)

// Run delivers the events of the schema until ctx ends, beside the Run of any other process, which it says nothing about.
// Bulk events are in at most half of the workers. While the database cannot be reached, or has no tables that fit, Run waits
// for it.
func (q *Queue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	if err := q.open(); err != nil {
		return err
	}
	if !q.running.CompareAndSwap(false, true) {
		return fprom.ErrQueueInUse
	}
	defer q.running.Store(false)
	for ctx.Err() == nil {
		err := q.check(ctx, q.pool.QueryRow)
		if err == nil {
			err = q.work(ctx, min(max(workers, 1), river.QueueNumWorkersMax), deliver)
		}
		if err != nil && ctx.Err() == nil {
			q.outage.failed("begin to deliver", err)
			_ = q.sleep(ctx, time.Second)
		}
	}
	return nil
}

// work runs a River client and the upkeep until ctx ends. An error means that they did not start.
func (q *Queue) work(ctx context.Context, n int, deliver deliverFunc) error {
	hands := make(chan struct{}, n)
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(job context.Context, j *river.Job[wakeUp]) error {
		return q.wake(ctx, job, j, hands, deliver)
	}))
	client, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		Schema: q.cfg.Schema, Logger: slog.New(riverHandler{&q.outage}), Workers: workers,
		JobTimeout: q.cfg.Rescue * 2 / 3, RescueStuckJobsAfter: q.cfg.Rescue, CompletedJobRetentionPeriod: completedJobs,
		SoftStopTimeout: q.cfg.Rescue, // so that the end of ctx does not cancel the jobs: each has a context that ends with it
		Queues: map[string]river.QueueConfig{
			liveQueue: {MaxWorkers: n, FetchCooldown: fetchCooldown},
			bulkQueue: {MaxWorkers: max(n/2, 1), FetchCooldown: fetchCooldown},
		},
	})
	if err != nil {
		return fmt.Errorf("fprom: riverqueue: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("fprom: riverqueue: %w", err)
	}
	q.outage.over()
	var upkeep sync.WaitGroup
	upkeep.Go(func() { q.upkeep(ctx) })
	<-ctx.Done()
	for range n {
		hands <- struct{}{} // waits for the deliveries under way
	}
	select {
	case <-client.Stopped():
	case <-time.After(stopTime):
	}
	upkeep.Wait()
	return nil
}

// wake is what River calls for a job. Whatever is wrong with the job, the ledger knows better.
func (q *Queue) wake(run, ctx context.Context, job *river.Job[wakeUp], hands chan struct{}, deliver deliverFunc) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(run, cancel)()
	c, later, err := q.begin(ctx, job, hands)
	switch {
	case err != nil: // the end: for another replica, or for this one after its restart
		return river.JobSnooze(0)
	case c == nil && later > 0:
		return river.JobSnooze(later)
	case c == nil:
		return nil
	}
	defer func() { <-hands }()
	if c.message.Bulk {
		ctx = context.WithValue(ctx, bulkKey{}, true)
	}
	var result fprom.Result
	if err = ctx.Err(); err == nil { // it did not end while the event was claimed
		result, err = backlog.Recovered(ctx, deliver, c.message)
	}
	return q.conclude(run, ctx, c, result, err)
}

// begin claims the event of a job, and with it one of hands. One bulk event of this process at a time waits until no live
// event could begin. The error is ctx's.
func (q *Queue) begin(ctx context.Context, job *river.Job[wakeUp], hands chan struct{}) (*claimed, time.Duration, error) {
	if job.Queue == bulkQueue {
		if err := q.take(ctx, q.bulkBegins); err != nil {
			return nil, 0, err
		}
		defer func() { <-q.bulkBegins }()
	}
	for {
		if err := q.take(ctx, hands); err != nil {
			return nil, 0, err
		}
		c, later, err := q.claim(ctx, fprom.SafeKey(job.Args.Key), job.Queue == bulkQueue)
		if c != nil {
			return c, 0, nil
		}
		<-hands
		if err == nil && later != 0 {
			return nil, later, nil
		}
		if err != nil {
			q.outage.failed("begin a delivery", err)
		}
		if err := q.sleep(ctx, pollTime); err != nil {
			return nil, 0, err
		}
	}
}
