package boltqueue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
	"github.com/fprom-go/fprom/internal/safelog"
	"go.etcd.io/bbolt"
)

// Between two attempts to write an outcome to a disk that takes none, and between two log lines about it.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
	logEvery   = time.Minute
)

var errNoRun = errors.New("fprom: the outbox was opened with boltqueue.WithoutRun: nothing is delivered from it here")

// Run implements fprom.Queue. A worker takes the next message only when the outcome of its last one is on disk: while the
// disk takes none, nothing more is sent than there are workers. Messages that were under way when an earlier process died are
// delivered again, with the number of that attempt.
func (q *Queue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(q.life, stop)() //nolint:contextcheck // the queue may end before ctx does
	err := q.line.Run(ctx, workers, func(ctx context.Context, it *item) { q.deliver(ctx, it, deliver) })
	if broken := q.usable(); !errors.Is(broken, fprom.ErrQueueClosed) {
		err = cmp.Or(err, broken)
	}
	return err
}

// deliver reads the message of it, delivers it, and writes its outcome.
func (q *Queue) deliver(ctx context.Context, it *item, deliver func(context.Context, fprom.Message) (fprom.Result, error)) {
	var r *record
	err := q.view(func(tx *bbolt.Tx) (err error) {
		r, err = decode(it.Seq, tx.Bucket(bucketWaiting).Get(seqKey(it.Seq)))
		return err
	})
	if errors.Is(err, errDamagedRecord) {
		q.logger.Error("fprom: a stored event is damaged; it becomes a dead letter", slog.String("path", q.path), slog.Uint64("seq", it.Seq))
		if q.writeOutcome(ctx, it, func(w *work) error { return w.quarantine(it.Seq) }) {
			q.line.Done(it)
		}
		return
	}
	if err != nil {
		_ = q.breakDown(err)
		q.line.Retry(it, 0, false)
		return
	}
	hit("leased")
	m := r.Message
	m.Attempt++
	res, err := backlog.Recovered(ctx, deliver, m)
	hit("answered")
	q.settle(ctx, it, m, res, err)
}

// settle writes what deliver said. A delivery that was cut short by the end of ctx says nothing.
func (q *Queue) settle(ctx context.Context, it *item, m fprom.Message, res fprom.Result, err error) {
	if err == nil || fprom.IsPermanent(err) {
		if q.writeOutcome(ctx, it, func(w *work) error { return w.finish(it.Seq, m.Attempt, res, err) }) {
			hit("acknowledged")
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
	due := q.now().Add(delay)
	if q.writeOutcome(ctx, it, func(w *work) error { return w.postpone(it.Seq, m.Attempt, res, err, due) }) {
		q.line.Retry(it, time.Until(due), fprom.IsSetAside(err))
	}
}

// writeOutcome waits for a disk that is full. false: the outcome is not written, and the message is in the line again.
func (q *Queue) writeOutcome(ctx context.Context, it *item, apply func(*work) error) bool {
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		ended := ctx.Err() != nil
		err := q.write(context.WithoutCancel(ctx), 0, apply)
		if err == nil {
			return true
		}
		if ended || q.usable() != nil {
			q.log("fprom: outcomes could not be written to the outbox before the end; their events will be sent again, which their event ids make safe", err)
			q.line.Retry(it, time.Millisecond, false)
			return false
		}
		q.log("fprom: the outbox could not be written; trying again, nothing more is sent meanwhile", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// log says at most once a minute what goes wrong.
func (q *Queue) log(text string, err error) {
	q.mu.Lock()
	now := q.now()
	due := now.Sub(q.logged) >= logEvery
	if due {
		q.logged = now
	}
	q.mu.Unlock()
	if due {
		q.logger.Error(text, slog.String("path", q.path), safelog.Error(err))
	}
}

// view reads the file. After a page could not be read bbolt may wait for a lock of its own for ever.
func (q *Queue) view(f func(*bbolt.Tx) error) error {
	if err := q.usable(); err != nil {
		return err
	}
	return guard(func() error { return q.db.View(f) })
}
