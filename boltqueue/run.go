package boltqueue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue/internal/safebolt"
	"github.com/fprom-go/fprom/internal/backlog"
	"github.com/fprom-go/fprom/internal/safelog"
	"go.etcd.io/bbolt"
)

const writePause = time.Second // between two attempts to write an outcome while writes fail

var errNoRun = errors.New("fprom: the outbox was opened with boltqueue.WithoutRun: this process delivers nothing from it")

// Run implements fprom.Queue. A worker takes the next message only when the outcome of its last one is on disk. So if the
// disk is full, each worker sends at most one message. A message that was under way when an earlier process died is delivered
// again with the same Attempt.
func (q *Queue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(q.life, stop)() //nolint:contextcheck // the queue may end before ctx does
	err := q.line.Run(ctx, workers, func(ctx context.Context, it *item) { q.deliver(ctx, it, deliver) })
	if unusable := q.usable(); !errors.Is(unusable, fprom.ErrQueueClosed) {
		err = cmp.Or(err, unusable)
	}
	return err
}

func (q *Queue) deliver(ctx context.Context, it *item, deliver func(context.Context, fprom.Message) (fprom.Result, error)) {
	var r *record
	err := q.view(func(tx *bbolt.Tx) error {
		r = read(tx.Bucket(bucketOpen), it.Seq)
		return nil
	})
	switch {
	case err != nil:
		_ = q.breakDown(err)
		q.line.Retry(it, 0, false)
		return
	case r.damaged:
		if q.writeOutcome(ctx, it, func(t *transaction) error { return t.quarantine(it) }) {
			q.line.Done(it)
		}
		return
	}
	failpoint("leased")
	m := r.Message
	m.Attempt++
	res, err := backlog.Recovered(ctx, deliver, m)
	failpoint("answered")
	q.settle(ctx, it, m, res, err)
}

// settle writes the result of a delivery. If the end of ctx interrupted the delivery, it writes nothing.
func (q *Queue) settle(ctx context.Context, it *item, m fprom.Message, res fprom.Result, err error) {
	if err == nil || fprom.IsPermanent(err) {
		if q.writeOutcome(ctx, it, func(t *transaction) error { return t.finish(it, m.Attempt, res, err) }) {
			failpoint("acknowledged")
			q.line.Done(it)
		}
		return
	}
	delay := fprom.RetryDelay(m.Attempt, err)
	if ctx.Err() != nil {
		q.line.Retry(it, delay, false)
		return
	}
	if fprom.IsHeld(err) {
		m.Attempt--
	}
	due := time.Now().Add(delay)
	if q.writeOutcome(ctx, it, func(t *transaction) error { return t.retryAt(it.Seq, m.Attempt, res, err, due) }) {
		q.line.Retry(it, time.Until(due), fprom.IsSetAside(err))
	}
}

// writeOutcome writes the result of a delivery, again and again while the disk is full. It returns false if ctx or the queue
// ends first; then the event is back in the line.
func (q *Queue) writeOutcome(ctx context.Context, it *item, apply func(*transaction) error) bool {
	for {
		ended := ctx.Err() != nil
		err := q.write(context.WithoutCancel(ctx), apply)
		if err == nil {
			return true
		}
		if ended || q.usable() != nil {
			q.log("fprom: outcomes could not be written to the outbox before the service ended; their events will be sent again, which their event ids make safe", err)
			q.line.Retry(it, time.Millisecond, false)
			return false
		}
		q.log("fprom: the outbox could not be written; trying again, and sending nothing more meanwhile", err)
		select {
		case <-ctx.Done():
		case <-time.After(writePause):
		}
	}
}

// log logs an error, at most one a minute.
func (q *Queue) log(text string, err error) {
	q.logging.Do(func() { q.logger.Error(text, slog.String("path", q.path), safelog.Error(err)) })
}

// view reads the file. After a breakdown it does not call bbolt, which may hold its locks for ever.
func (q *Queue) view(f func(*bbolt.Tx) error) error {
	if err := q.usable(); err != nil {
		return err
	}
	return safebolt.Guard(func() error { return q.db.View(f) })
}
