package riverqueue

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fprom-go/fprom"
)

const (
	dbTimeout = 10 * time.Second
	// completedJobs are kept by River so long. They say nothing that the ledger does not.
	completedJobs = time.Hour
	// fetchCooldown bounds how often a free worker asks for the next job.
	fetchCooldown = 5 * time.Millisecond
	// stopTime is what River has for its own end after the last delivery; while the database is away it would take long.
	stopTime = 5 * time.Second
)

type deliverFunc = func(context.Context, fprom.Message) (fprom.Result, error)

// Run delivers the events of the schema until ctx ends, beside the Run of any other process, which it says nothing about.
// While the database cannot be reached, or has no tables that fit, Run waits for it.
func (q *Queue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	if err := q.open(); err != nil {
		return err
	}
	if !q.running.CompareAndSwap(false, true) {
		return fprom.ErrQueueInUse
	}
	defer q.running.Store(false)
	for ctx.Err() == nil {
		err := q.store.check(ctx, pgxSession{tx: q.pool})
		if err == nil {
			err = q.work(ctx, workers, deliver)
		}
		if err != nil && ctx.Err() == nil {
			q.outage.failed("begin to deliver", err)
			if q.sleep(ctx, time.Second) != nil {
				break
			}
		}
	}
	return nil
}

// work runs a River client and the upkeep until ctx ends. An error means that they did not start.
func (q *Queue) work(ctx context.Context, n int, deliver deliverFunc) error {
	w := &worker{q: q, ended: ctx.Done(), deliver: deliver}
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, w); err != nil {
		return err
	}
	client, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		ID: replicaID(), Schema: q.cfg.Schema, Logger: riverLog(q.log, q.outage), Workers: workers,
		JobTimeout: q.cfg.Rescue * 2 / 3, RescueStuckJobsAfter: q.cfg.Rescue,
		Queues:                      map[string]river.QueueConfig{jobQueue: {MaxWorkers: min(max(n, 1), river.QueueNumWorkersMax), FetchCooldown: fetchCooldown}},
		CompletedJobRetentionPeriod: completedJobs,
	})
	if err != nil {
		return fmt.Errorf("fprom: riverqueue: %w", err)
	}
	// The end of ctx must not cut short what River has under way, but its start.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	unless := context.AfterFunc(ctx, end)
	if err := client.Start(life); err != nil {
		return fmt.Errorf("fprom: riverqueue: %w", err)
	}
	q.outage.over()
	if !unless() { // ctx ended in between
		<-client.Stopped()
		return nil
	}
	var upkeep sync.WaitGroup
	upkeep.Go(func() { q.upkeep(ctx) })
	<-ctx.Done()
	w.stop(ctx, client)
	upkeep.Wait()
	return nil
}

func replicaID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%.60s_%d_%s", host, os.Getpid(), rand.Text()[:10])
}

// worker is what River calls for each job.
type worker struct {
	river.WorkerDefaults[wakeUp]
	q       *Queue
	ended   <-chan struct{} // closed when Run is to end
	deliver deliverFunc
	under   sync.RWMutex // read-held by each call of Work
}

// stop waits for the deliveries under way, and a moment for River to note how its jobs ended. What it cannot note is a
// wake-up too many.
func (w *worker) stop(ctx context.Context, client interface{ Stop(context.Context) error }) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	go func() {
		w.under.Lock() // nobody begins to read now
		defer w.under.Unlock()
		time.AfterFunc(stopTime, cancel)
	}()
	if err := client.Stop(ctx); err != nil {
		w.q.outage.failed("end", err)
	}
}

// NextRetry implements river.Worker for a job that River rescued.
func (w *worker) NextRetry(*river.Job[wakeUp]) time.Time { return time.Now() }

// Work takes a wake-up. Whatever is wrong with it, the ledger knows better.
func (w *worker) Work(ctx context.Context, job *river.Job[wakeUp]) error {
	w.under.RLock()
	defer w.under.RUnlock()
	if over(w.ended) {
		return river.JobSnooze(0) // for another replica, or for this one after its restart
	}
	q := w.q
	c, later, err := q.claim(ctx, fprom.SafeKey(job.Args.Key))
	for ; err != nil; c, later, err = q.claim(ctx, fprom.SafeKey(job.Args.Key)) {
		q.outage.failed("begin a delivery", err)
		if wait(w.ended, pollTime); over(w.ended) || ctx.Err() != nil {
			return river.JobSnooze(0)
		}
	}
	switch {
	case later > 0:
		return river.JobSnooze(later)
	case c == nil:
		return nil
	}
	m := c.message
	dctx, cancel := context.WithCancel(context.WithValue(ctx, deliveryKey{}, &c.delivery))
	defer cancel()
	go func() {
		select {
		case <-w.ended:
			cancel()
		case <-dctx.Done():
		}
	}()
	result, err := w.call(dctx, m)
	done := err == nil || fprom.IsPermanent(err)
	q.concludeProbe(ctx, &c.delivery, done)
	if done {
		return q.settle(ctx, w.ended, c, result, err)
	}
	return q.again(ctx, w.ended, c, result, err, dctx.Err() != nil)
}

func over(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// wait waits for d, or until ended.
func wait(ended <-chan struct{}, d time.Duration) {
	select {
	case <-ended:
	case <-time.After(d):
	}
}

// call is deliver, whose panic is an error of this delivery.
func (w *worker) call(ctx context.Context, m fprom.Message) (result fprom.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.q.log.Error("fprom: riverqueue: a delivery panicked; its event is tried again", "key", fprom.SafeKey(m.Key), "panic", p, "stack", string(debug.Stack()))
			result, err = fprom.Result{Outcome: fprom.Undelivered}, fmt.Errorf("the delivery panicked: %v", p)
		}
	}()
	return w.deliver(ctx, m)
}
