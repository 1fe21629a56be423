package riverqueue

import (
	"context"
	"errors"
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
	// completedJobs is how long River keeps jobs that ended. The ledger has all that they say.
	completedJobs = time.Hour
	// fetchInterval is how often a process looks for live jobs, and fetchCooldown how often while it finds some. River's notifications
	// would be faster. But PostgreSQL commits transactions that notify one after the other, also those of the application.
	fetchInterval, fetchCooldown = 40 * time.Millisecond, 5 * time.Millisecond
	// stopTime is how long River may take to store how its last jobs ended. A job whose end is not stored wakes its event again.
	stopTime = 5 * time.Second
)

type deliverFunc = func(context.Context, fprom.Message) (fprom.Result, error)

// Run delivers the events of the schema until ctx ends. Other processes may run the same schema. Bulk events take at most half
// of the workers, but at least one. While the database cannot be reached, or lacks the tables of this version, Run waits for it.
func (q *Queue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	if err := q.errClosed(); err != nil {
		return err
	}
	if !q.running.CompareAndSwap(false, true) {
		return fprom.ErrQueueInUse
	}
	defer q.running.Store(false)
	for ctx.Err() == nil {
		err := q.check(ctx, q.pool.QueryRow)
		if err == nil {
			err = q.runClient(ctx, min(max(workers, 1), river.QueueNumWorkersMax), deliver)
		}
		if err != nil && ctx.Err() == nil {
			q.note("start to deliver", explain("run", err))
			_ = wait(ctx, q, time.After(time.Second))
		}
	}
	return nil
}

// runClient runs a River client and the upkeep until ctx ends. An error means that they did not start.
func (q *Queue) runClient(ctx context.Context, n int, deliver deliverFunc) error {
	deliveries := semaphore(n) // River's two queues have more than n workers
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(jobCtx context.Context, job *river.Job[wakeUp]) error {
		return q.work(ctx, jobCtx, job, deliveries, deliver)
	}))
	client, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		Schema: q.cfg.Schema, Logger: slog.New(slog.NewTextHandler(&q.river, &slog.HandlerOptions{Level: slog.LevelWarn})), Workers: workers,
		JobTimeout: q.cfg.Rescue * 2 / 3, RescueStuckJobsAfter: q.cfg.Rescue, CompletedJobRetentionPeriod: completedJobs,
		SoftStopTimeout:  q.cfg.Rescue, // otherwise River cancels its jobs when ctx ends
		ReindexerTimeout: -1,           // no limit: if one ended a rebuild, as beside a long transaction, River would leave that index out from then on
		PollOnly:         true,
		Queues: map[string]river.QueueConfig{
			liveQueue: {MaxWorkers: n, FetchCooldown: fetchCooldown, FetchPollInterval: fetchInterval},
			bulkQueue: {MaxWorkers: max(n/2, 1), FetchCooldown: fetchCooldown},
		},
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	q.note("start to deliver", nil)
	var upkeep sync.WaitGroup
	upkeep.Go(func() { q.upkeep(ctx) })
	<-ctx.Done()
	for range n {
		<-deliveries // waits for those under way
	}
	select {
	case <-client.Stopped():
	case <-time.After(stopTime):
	}
	upkeep.Wait()
	return nil
}

// work handles a job of River: it claims the event, delivers it and stores the outcome. run is the context of Run, and ctx
// that of the job.
func (q *Queue) work(run, ctx context.Context, job *river.Job[wakeUp], deliveries chan struct{}, deliver deliverFunc) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(run, cancel)()
	m, generation, err := q.waitForClaim(ctx, job, deliveries)
	switch {
	case errors.Is(err, errNotReady):
		return nil
	case err != nil: // Run ends: another replica takes the job, or this one after its restart
		return river.JobSnooze(0)
	}
	defer func() { deliveries <- struct{}{} }()
	ctx = context.WithValue(ctx, bulkKey{}, m.Bulk)
	result, err := backlog.Recovered(ctx, deliver, m)
	q.settle(run, ctx, m, generation, result, err)
	return nil
}

// waitForClaim acquires a place of deliveries and claims the event of a job. Bulk events wait here, one after the other, while
// live events are ready. The error is ctx's, or errNotReady.
func (q *Queue) waitForClaim(ctx context.Context, job *river.Job[wakeUp], deliveries chan struct{}) (m fprom.Message, generation int, err error) {
	if job.Queue == bulkQueue {
		if err := wait(ctx, q, q.bulkClaim); err != nil {
			return m, 0, err
		}
		defer func() { q.bulkClaim <- struct{}{} }()
	}
	for delay := fetchInterval; ; delay = min(2*delay, pollTime) {
		if err := wait(ctx, q, deliveries); err != nil {
			return m, 0, err
		}
		m, generation, err = q.claim(ctx, fprom.SafeKey(job.Args.Key), job.Queue == bulkQueue)
		if err == nil {
			return m, generation, nil
		}
		deliveries <- struct{}{}
		if errors.Is(err, errNotReady) {
			return m, 0, err
		}
		if err := wait(ctx, q, time.After(delay)); err != nil {
			return m, 0, err
		}
	}
}
