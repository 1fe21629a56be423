package boltqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/backlog"
	"github.com/fprom-go/fprom/internal/safelog"
	"go.etcd.io/bbolt"
	"golang.org/x/time/rate"
)

// Queue is a durable fprom.Queue in one file, and an fprom.Outbox. All its methods are safe for concurrent use.
type Queue struct {
	path      string
	logger    *slog.Logger
	retention time.Duration
	wait      time.Duration
	mustExist bool
	noSocket  bool
	commitTx  func(*bbolt.Tx) error
	allocate  func(f *os.File, end int64) error // takes disk space for the file, up to end

	life context.Context //nolint:containedctx // the queue's own: it ends at Close, or when the file becomes unusable
	end  context.CancelCauseFunc

	db        *file
	line      *backlog.Line[struct{}]          // the waiting events
	stats     atomic.Pointer[fprom.QueueStats] // of the last commit
	tracker   atomic.Pointer[func() fprom.Stats]
	logging   rate.Sometimes        // limits the lines of writeOutcome
	unwritten atomic.Pointer[error] // why the last outcome of this Run is not written; nil if it is

	requests  chan *request  // to the committer
	committer sync.WaitGroup // the goroutine that alone writes the file
	first     uint64         // no event with a lower seq waits
	reserved  int64          // the end of the disk space that was allocated to the file

	mu   sync.Mutex
	keys map[keyHash]uint32 // the key of each open event → the lower half of its seq
	last uint64             // the highest of these seqs so far

	unlisten func()
	close    func() error // sync.OnceValue
}

type item = backlog.Item[struct{}]

var (
	_ fprom.Outbox  = (*Queue)(nil)
	_ fprom.Watcher = (*Queue)(nil)
)

// Option changes a default of Open.
type Option func(*Queue)

// DefaultRetention is how long the ledger remembers an event id after its outcome: a yearly renewal and a month.
const DefaultRetention = 400 * 24 * time.Hour

// WithRetention sets how long the ledger remembers an event id after the event's outcome; later outcomes remove older ids. A
// duplicate that comes after that is sent again, and only FirstPromoter can recognize it. 0 or less: DefaultRetention.
func WithRetention(d time.Duration) Option {
	return func(q *Queue) {
		if d > 0 {
			q.retention = d
		}
	}
}

// WithLogger sets the logger for problems that no call returns: outcomes that could not be written, damaged records, a socket
// that cannot be made. Default slog.Default().
func WithLogger(l *slog.Logger) Option { return func(q *Queue) { q.logger = cmp.Or(l, q.logger) } }

// WithWait lets Open wait up to d, instead of a second, while another process has the file. Open gets it within a second after that one
// ends or dies. In a deploy neither serves during the old one's Tracker.Shutdown, which sends events until its ctx ends: give it a second.
func WithWait(d time.Duration) Option { return func(q *Queue) { q.wait = d } }

// WithoutSocket serves no socket beside the file: other processes cannot see or change the outbox while it is open. Use it in
// tests with testing/synctest, where a socket stops the time, and call Close or Tracker.Shutdown in the bubble, or the bubble panics.
func WithoutSocket() Option { return func(q *Queue) { q.noSocket = true } }

// WithoutRun opens the outbox to read and feed it, not to deliver: Run and Flush return errors. This saves most of the memory
// that waiting events take.
func WithoutRun() Option { return func(q *Queue) { q.line.Close(errNoRun) } }

// WithoutCreate makes Open fail with fs.ErrNotExist if there is no file.
func WithoutCreate() Option { return func(q *Queue) { q.mustExist = true } }

func newQueue(path string, opts []Option) *Queue {
	q := &Queue{
		path: path, logger: slog.Default(), retention: DefaultRetention, commitTx: (*bbolt.Tx).Commit,
		line: backlog.New[struct{}](), keys: map[keyHash]uint32{}, requests: make(chan *request), unlisten: func() {}, allocate: allocate,
		logging: rate.Sometimes{Interval: time.Minute},
	}
	q.stats.Store(&fprom.QueueStats{})
	q.close = sync.OnceValue(q.closeOnce)
	q.life, q.end = context.WithCancelCause(context.Background())
	for _, o := range opts {
		o(q)
	}
	q.logger = safelog.New(q.logger)
	return q
}

// Stats implements fprom.Queue. It reads nothing from the file.
func (q *Queue) Stats(context.Context) (fprom.QueueStats, error) {
	if err := q.usable(); err != nil {
		return fprom.QueueStats{}, err
	}
	s := *q.stats.Load()
	s.Delivering = q.line.Running()
	if err := q.unwritten.Load(); err != nil {
		s.Delivering, s.PauseReason = false, "outcomes cannot be written: "+safelog.Text(*err)
	}
	return s, nil
}

// Watch implements fprom.Watcher: the socket shows these Stats.
func (q *Queue) Watch(stats func() fprom.Stats) { q.tracker.Store(&stats) }

// Flush implements fprom.Queue. It needs a Run that delivers. Outcomes count when they are on disk.
func (q *Queue) Flush(ctx context.Context) error { return q.line.Flush(ctx) }

const closeTimeout = 5 * time.Second

// Close ends the socket, closes the file and releases its lock. Messages without an outcome stay in the file. If the disk does
// not answer within five seconds, it returns an error, and the file stays locked. Call it after Run returned. Further calls do
// nothing and return the same error.
func (q *Queue) Close() error { return q.close() }

func (q *Queue) closeOnce() error {
	q.end(fprom.ErrQueueClosed)
	q.line.Close(fprom.ErrQueueClosed)
	closed := make(chan error, 1)
	go func() {
		q.unlisten()
		q.committer.Wait()
		closed <- guard(q.db.Close)
	}()
	var err error
	select {
	case err = <-closed:
	case <-time.After(closeTimeout): // after a breakdown bbolt may hold its locks for ever
		err = errors.New("the disk does not answer, or the file is damaged; it stays locked until the process ends")
	}
	if err != nil {
		return fmt.Errorf("fprom: close the outbox %s: %w", q.path, err)
	}
	return nil
}

// usable returns the error of all calls after Close or breakDown; nil before.
func (q *Queue) usable() error { return context.Cause(q.life) }

// breakDown puts the queue out of use: from now on every call returns the first such err. It returns err, also after Close.
func (q *Queue) breakDown(err error) error {
	err = fmt.Errorf("fprom: the outbox %s is out of use: %w", q.path, err)
	q.end(err)
	if errors.Is(q.usable(), err) { // it is the first one
		q.logger.Error("fprom: the outbox is out of use until it is opened again", slog.String("path", q.path), safelog.Error(err))
	}
	q.line.Close(q.usable())
	return err
}
