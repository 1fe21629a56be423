package riverqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/fprom-go/fprom"
)

// fetchCooldown bounds how often a free worker asks for the next job; River's default of 100 ms would cap 4 workers at
// 40 events a second.
const fetchCooldown = 5 * time.Millisecond

// panicRetry is when an event is tried again whose delivery panicked; the panic is in the log and in River's UI.
const panicRetry = time.Minute

// Run delivers the events of the schema until ctx ends, beside the Run of any other process. One Run at a time per
// Queue. If the database cannot be reached Run waits for it; tables that are missing or newer are an error.
func (q *Queue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	for ctx.Err() == nil && !q.isClosed() {
		err := q.store.check(ctx, q.pool)
		if err == nil {
			err = q.work(ctx, workers, deliver)
		}
		if errors.Is(err, ErrSchema) {
			return err
		}
		if ctx.Err() == nil {
			q.log.Warn("riverqueue: the database fails; delivery begins when it is back", "error", err)
			_ = q.sleep(ctx, time.Second) // whatever ends it is looked at next
		}
	}
	return nil
}

// work runs a River client and the upkeep until ctx ends. An error means that they did not start.
func (q *Queue) work(ctx context.Context, n int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	r := newReplica(q)
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &worker{q: q, r: r, deliver: deliver}); err != nil {
		return err
	}
	client, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		ID: r.id, Schema: q.cfg.Schema, Logger: loud(q.log), Workers: workers, JobTimeout: -1,
		Queues:                      map[string]river.QueueConfig{jobQueue: {MaxWorkers: min(max(n, 1), 10_000), FetchCooldown: fetchCooldown}},
		CancelledJobRetentionPeriod: 7 * 24 * time.Hour,
	})
	if err != nil {
		return fmt.Errorf("riverqueue: river: %w", err)
	}
	if err := r.beat(ctx); err != nil { // before the first job is taken: who takes jobs must be known as alive
		return err
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("riverqueue: river: %w", err)
	}
	q.running.Store(r)
	upkeep, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.upkeep(upkeep)
	}()
	<-ctx.Done()
	<-client.Stopped()
	stop()
	<-ended
	q.running.Store(nil)
	r.leave(context.WithoutCancel(ctx))
	return nil
}

// worker is what River calls for each job.
type worker struct {
	river.WorkerDefaults[eventArgs]
	q       *Queue
	r       *replica
	deliver func(context.Context, fprom.Message) (fprom.Result, error)
}

// NextRetry implements river.Worker for a delivery that panicked; all other ends of one are snoozes.
func (w *worker) NextRetry(*river.Job[eventArgs]) time.Time { return time.Now().Add(panicRetry) }

// Work delivers one message.
func (w *worker) Work(ctx context.Context, job *river.Job[eventArgs]) error {
	w.r.take(job.ID)
	defer w.r.release(job.ID)
	q, m := w.q, job.Args.message()
	attempts, err := q.begin(ctx, job)
	switch {
	case errors.Is(err, errNotNow):
		return nil
	case errors.Is(err, errUnknown):
		q.log.Error("riverqueue: a job has no entry in the ledger and is cancelled; was the ledger restored from a backup?", "job", job.ID)
		return river.JobCancel(err)
	case err != nil:
		if ctx.Err() == nil {
			q.log.Warn("riverqueue: the database fails; the event is tried again", "job", job.ID, "error", err)
		}
		return river.JobSnooze(time.Second)
	}
	m.Attempt = attempts + 1
	d := &delivery{}
	_, err = w.deliver(context.WithValue(ctx, deliveryKey{}, d), m)
	done, permanent := err == nil, fprom.IsPermanent(err)
	q.concludeProbe(ctx, d, done || permanent)
	switch {
	case done:
		return q.settle(ctx, job, "done", nil)
	case permanent:
		return q.settle(ctx, job, "dead", err)
	default:
		return q.again(ctx, m, err)
	}
}

var (
	errNotNow  = errors.New("riverqueue: nothing to deliver")
	errUnknown = errors.New("riverqueue: this event is not in the ledger")
)

// begin makes the event of job the head of its customer's lane and returns the number of failed attempts so far.
// errNotNow: it waits for an earlier event or has its outcome, and the job is completed.
func (q *Queue) begin(ctx context.Context, job *river.Job[eventArgs]) (attempts int, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
	defer cancel()
	s := &q.store.sql
	key := job.Args.Key
	var notNow bool
	var state string
	b := &pgx.Batch{}
	b.Queue(s.lock, q.lane(job.Args.Customer))
	b.Queue(s.start, key)
	b.Queue(s.look, key).QueryRow(func(row pgx.Row) error { return row.Scan(&state, &attempts) })
	err = q.transact(ctx, b, func(tx pgx.Tx) error {
		switch state {
		case "head":
			return nil
		case "queued": // another of this customer comes first: its end makes a new job of this one
			if _, err := tx.Exec(ctx, s.park, key, job.Args.Body); err != nil {
				return err
			}
		case "dead": // someone retried the cancelled job with River's UI or CLI
			return q.restart(ctx, tx, job, &notNow)
		}
		notNow = true
		return complete(ctx, tx, job)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, errUnknown
	case err != nil:
		return 0, err
	case notNow:
		return 0, errNotNow
	}
	return attempts, nil
}

// restart gives a dead letter whose job was retried by hand its place in the lane again.
func (q *Queue) restart(ctx context.Context, tx pgx.Tx, job *river.Job[eventArgs], notNow *bool) error {
	s := &q.store.sql
	if _, err := tx.Exec(ctx, s.recover, job.Args.Key); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, s.start, job.Args.Key)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	*notNow = true
	if _, err := tx.Exec(ctx, s.park, job.Args.Key, job.Args.Body); err != nil {
		return err
	}
	return complete(ctx, tx, job)
}

// complete completes job in tx. A job that is gone was taken over by another replica, which finds the ledger settled.
func complete(ctx context.Context, tx pgx.Tx, job *river.Job[eventArgs]) error {
	_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil
	}
	return err
}

// lane is the text whose hash is locked while events of customer start and end.
func (q *Queue) lane(customer string) string { return q.cfg.Schema + "/" + customer }
