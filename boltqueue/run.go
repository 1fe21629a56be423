package boltqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
	"github.com/fprom-go/fprom/internal/safelog"
	"go.etcd.io/bbolt"
)

var errNoRun = errors.New("fprom: the outbox was opened with boltqueue.WithoutRun: this process delivers nothing from it")

// Run implements fprom.Queue. A worker takes the next message only when the outcome of its last one is on disk. So if the
// disk is full, each worker sends at most one message. A message that was under way when an earlier process died is delivered
// again with the same Attempt.
func (q *Queue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer q.unwritten.Store(nil)
	defer context.AfterFunc(q.life, stop)() //nolint:contextcheck // the queue may end before ctx does
	err := q.line.Run(ctx, workers, func(ctx context.Context, it *item) { q.deliver(ctx, it, deliver) })
	if unusable := q.usable(); !errors.Is(unusable, fprom.ErrQueueClosed) {
		err = cmp.Or(err, unusable)
	}
	return err
}

func (q *Queue) deliver(ctx context.Context, it *item, deliver func(context.Context, fprom.Message) (fprom.Result, error)) {
	var r *record
	err := q.view(func(tx *bbolt.Tx) { r = decode(it.Seq, tx.Bucket(bucketOpen).Get(seqKey(it.Seq)), false) })
	switch {
	case err != nil:
		_ = q.breakDown(cmp.Or(errors.Unwrap(err), err)) // breakDown names the outbox, too
		return
	case r.damaged:
		q.settle(ctx, it, 0, fprom.Result{}, &fprom.ValidationError{Field: "record", Reason: "is damaged"})
		return
	}
	failpoint("leased")
	r.Attempt++
	res, err := backlog.Recovered(ctx, deliver, r.Message)
	failpoint("answered")
	q.settle(ctx, it, r.Attempt, res, err)
}

// settle writes the result of a delivery. If the end of ctx interrupted the delivery, it writes nothing.
func (q *Queue) settle(ctx context.Context, it *item, attempts int, res fprom.Result, err error) {
	var next time.Time
	again := err != nil && !fprom.IsPermanent(err)
	if again {
		next = time.Now().Add(fprom.RetryDelay(attempts, err))
	}
	if fprom.IsHeld(err) {
		attempts--
	}
	written := (!again || ctx.Err() == nil) && q.writeOutcome(ctx, func(t *transaction) { t.settle(it, attempts, res, err, next) })
	if written && !again {
		failpoint("acknowledged")
		q.line.Done(it)
	} else {
		q.line.Retry(it, time.Until(next), written && fprom.IsSetAside(err))
	}
}

// writeOutcome writes the result of a delivery, again and again while the disk is full, and until ctx or the queue ends.
func (q *Queue) writeOutcome(ctx context.Context, apply func(*transaction)) bool {
	for ended := false; !ended; {
		ended = ctx.Err() != nil
		err := q.write(context.WithoutCancel(ctx), apply)
		if err == nil {
			q.unwritten.Store(nil)
			return true
		}
		q.unwritten.Store(&err)
		q.logging.Do(func() {
			q.logger.Error("fprom: outcomes could not be written to the outbox; nothing more is sent until they are; an event whose outcome is not written when the service ends will be sent again, which its event id makes safe", slog.String("path", q.path), safelog.Error(err))
		})
		select {
		case <-ctx.Done(): // also if the queue ends
		case <-time.After(time.Second):
		}
	}
	return false
}

// view reads the file. After a breakdown it does not call bbolt, which may hold its locks for ever. Damage that it meets does not
// put the outbox out of use.
func (q *Queue) view(f func(*bbolt.Tx)) error {
	if err := q.usable(); err != nil {
		return err
	}
	err := guard(func() error {
		tx := q.db.begin(false)
		defer func() { _ = tx.Rollback() }()
		f(tx)
		return nil
	})
	if err != nil {
		err = fmt.Errorf("fprom: the outbox %s could not be read: %w", q.path, err)
	}
	return cmp.Or(q.usable(), err) // Close may have closed the file meanwhile
}
