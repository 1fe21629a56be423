package boltqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// Queue is a durable fprom.Queue in one file. All its methods are safe for concurrent use.
type Queue struct {
	path      string
	start     time.Time // see now
	logger    *slog.Logger
	retention time.Duration
	memKeys   int // as many keys in memory make a run
	commitTx  func(*bbolt.Tx) error

	db   *bbolt.DB
	file *os.File // db's; see release
	kick chan struct{}
	wake chan struct{} // a hint to the workers that there is something ready
	done chan struct{} // closed when the committer has ended

	mu        sync.Mutex
	requests  []*request // not yet taken by the committer
	outcomes  []outcome
	ready     ready
	flushers  []flusher
	settled   chan struct{} // closed when all outcomes are written or have to wait; nil if nobody waits
	stats     fprom.QueueStats
	nextSeq   uint64
	closing   bool
	stalled   bool  // outcomes could not be written: no new deliveries until they are
	broken    error // the file is not usable any more
	closeOnce sync.Once
	closeErr  error

	c       committer
	reserve reserve
}

var _ fprom.Queue = (*Queue)(nil)

// Option changes a default of Open.
type Option func(*Queue)

// DefaultRetention is how long the ledger remembers an event id after its outcome: a yearly renewal and a month.
const DefaultRetention = 400 * 24 * time.Hour

const maxRetention = 100 * 365 * 24 * time.Hour // with more, times leave the range of Unix nanoseconds

// WithRetention sets how long the ledger remembers an event id after the event's outcome, at least; some are forgotten a
// four-hundredth of it later, and those of events newer than the oldest one without an outcome not before it has one. A
// duplicate that comes after that is sent again, and left to FirstPromoter to recognise. 0 or less: DefaultRetention; at
// most 100 years.
func WithRetention(d time.Duration) Option {
	return func(q *Queue) {
		if d > 0 {
			q.retention = min(d, maxRetention)
		}
	}
}

// WithLogger sets the logger for what no caller sees: outcomes that could not be written, damaged records. Default
// slog.Default().
func WithLogger(l *slog.Logger) Option {
	return func(q *Queue) {
		if l != nil {
			q.logger = l
		}
	}
}

func newQueue(path string, opts []Option) *Queue {
	q := &Queue{
		path: path, start: time.Now(), logger: slog.Default(), retention: DefaultRetention, memKeys: defaultMemKeys, commitTx: (*bbolt.Tx).Commit,
		kick: make(chan struct{}, 1), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	for _, o := range opts {
		o(q)
	}
	q.c = committer{items: map[uint64]*item{}, busy: map[uint64]*item{}, mem: map[hash]entry{}, limit: maxGroupOutcomes}
	return q
}

// now is the time as it runs on from the opening, whatever is done to the clock of the system.
func (q *Queue) now() time.Time { return q.start.Add(time.Since(q.start)) }

// Stats implements the optional method of fprom.Queue. It reads nothing from the file. Oldest is as of the last commit.
func (q *Queue) Stats(context.Context) (fprom.QueueStats, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stats, q.broken
}

// flusher waits until no message with a seq below mark is left.
type flusher struct {
	mark uint64
	done chan struct{}
}

// Flush waits until every message stored before the call has an outcome (done or dead letter) that is on disk, or ctx
// ends. It needs a Run that delivers.
func (q *Queue) Flush(ctx context.Context) error {
	q.mu.Lock()
	if err := q.unusable(); err != nil {
		q.mu.Unlock()
		return err
	}
	if q.stats.Pending == 0 {
		q.mu.Unlock()
		return nil
	}
	f := flusher{q.nextSeq, make(chan struct{})}
	q.flushers = append(q.flushers, f)
	q.mu.Unlock()
	signal(q.kick)
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		q.mu.Lock()
		q.flushers = slices.DeleteFunc(q.flushers, func(other flusher) bool { return other == f })
		q.mu.Unlock()
		return ctx.Err()
	case <-q.done:
		return errors.Join(fprom.ErrQueueClosed, q.brokenErr())
	}
}

// Close writes what is still to be written, closes the file and releases its lock. Messages without an outcome stay in
// the file. Call it after Run returned. Further calls do nothing and return the same error: outcomes that could not be
// written, whose events will be delivered again.
func (q *Queue) Close() error {
	q.closeOnce.Do(func() {
		q.mu.Lock()
		q.closing = true
		q.mu.Unlock()
		signal(q.kick)
		<-q.done
		q.closeErr = q.release()
	})
	return q.closeErr
}

// release closes the file. A panic inside a transaction leaves bbolt's locks taken: then only the file is closed.
func (q *Queue) release() error {
	q.mu.Lock()
	left, broken := len(q.outcomes), q.broken
	q.mu.Unlock()
	var err error
	if broken != nil {
		err = abandon(q.file)
	} else {
		err = q.db.Close()
	}
	if err != nil {
		err = fmt.Errorf("boltqueue: close %s: %w", q.path, err)
	}
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("boltqueue: %d outcomes could not be written to %s; their events will be sent again, which their event ids make safe", left, q.path))
	}
	return err
}

// unusable must be called with q.mu held.
func (q *Queue) unusable() error {
	if q.broken != nil {
		return q.broken
	}
	if q.closing {
		return fprom.ErrQueueClosed
	}
	return nil
}

func (q *Queue) brokenErr() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.broken
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
