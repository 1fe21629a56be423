package fprom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
)

// Tracker reports events to FirstPromoter. Make one per FirstPromoter account with New and share it: all methods are
// safe for concurrent use. A nil *Tracker is valid: Enqueue and Track return ErrNoTracker, Flush and Shutdown nil, and a
// middleware with it tracks nothing.
type Tracker struct {
	cfg     Config    // with the defaults filled in
	began   time.Time // in New; an event that was recorded before may have been sent by an earlier process
	client  *client
	dedupe  *dedupe
	gate    *gate
	logbook logbook
	panics  safelog.Seldom
	counts  counters

	accepting sync.RWMutex    // read-locked while events are stored; Shutdown locks it for ever
	running   context.Context //nolint:containedctx // of the queue's Run; stop ends it
	stop      context.CancelFunc
	calls     context.Context //nolint:containedctx // of the HTTP calls, which may outlive running; cut ends it
	cut       context.CancelFunc
	runs      sync.WaitGroup // of the queue's Run
	shutdown  sync.Once
	ended     chan struct{} // closed when Shutdown has ended
	endErr    error
}

var queuesInUse sync.Map // the Queues from which a Tracker of this process delivers

// New checks cfg, starts to deliver the events in the queue, and returns the Tracker. If a field of cfg is wrong, the error
// is a *ValidationError that names it; if there are no credentials at all, it is ErrNoCredentials. If the queue cannot be
// used, the error wraps ErrQueueInUse or ErrQueueClosed. Call Shutdown at the end.
func New(cfg Config) (*Tracker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := &Tracker{cfg: cfg, began: time.Now(), client: newClient(cfg), dedupe: newDedupe(cfg), gate: newGate(cfg), ended: make(chan struct{})}
	if _, err := t.queueStats(); errors.Is(err, ErrQueueClosed) {
		return nil, fmt.Errorf("%w (Config.Queue)", err)
	}
	if isPointer(cfg.Queue) {
		if _, other := queuesInUse.LoadOrStore(cfg.Queue, t); other {
			return nil, fmt.Errorf("%w (Config.Queue)", ErrQueueInUse)
		}
	}
	t.running, t.stop = context.WithCancel(context.Background())
	t.calls, t.cut = context.WithCancel(context.Background())
	if w, ok := cfg.Queue.(Watcher); ok {
		_ = t.guard(t.running, "the Queue's Watch", func() error { w.Watch(t.Stats); return nil })
	}
	base, _ := url.Parse(cfg.BaseURL) // which validate has checked
	_, volatile := cfg.Queue.(UndeliveredLister)
	t.say(t.running, slog.LevelInfo, "reports sales to FirstPromoter", "account", cfg.AccountID, "host", base.Host,
		"queue", fmt.Sprintf("%T", cfg.Queue), "durable", !volatile, "version", Version)
	t.runs.Go(t.runQueue)
	return t, nil
}

func (t *Tracker) runQueue() {
	for wait := time.Second; t.running.Err() == nil; wait = min(2*wait, time.Minute) {
		began, err, run := time.Now(), error(nil), sync.WaitGroup{}
		do := func() error { return t.cfg.Queue.Run(t.running, t.cfg.Workers, t.deliver) }
		run.Go(func() { err = t.guard(t.running, "the Queue's Run", do) }) // in a goroutine that it may end
		run.Wait()
		wait = max(wait-time.Since(began).Truncate(time.Minute), time.Second) // one second again, if Run worked for a minute
		if t.running.Err() == nil {
			t.say(t.running, slog.LevelError, "the queue stopped delivering; it is started again after the wait", slog.Duration("wait", wait), safelog.Error(err))
			_ = sleepOr(t.running, wait, nil)
		}
	}
}

// Track makes one attempt now. It waits for the rate limit and for the end of a pause of the account, so give ctx a
// deadline. The error depends on the outcome:
//
//   - Tracked, NotReferral, Duplicate: nil
//   - Rejected: an *APIError, or an error that wraps ErrConflict if the event id is already used with another amount
//   - Undelivered, nothing was sent: a *ValidationError, or one that wraps ErrCircuitOpen, ErrClosed, or ErrPaused (ctx ended)
//   - Undelivered otherwise: an error that wraps ErrUnauthorized, an *APIError, the network's error, or ctx's error
//
// If another call sends an event with the same id, Track waits for its answer. If the event is in the queue too, this process
// does not send it after Track has returned Tracked or Duplicate.
func (t *Tracker) Track(ctx context.Context, e Event) (Result, error) {
	none := Result{Outcome: Undelivered}
	if t == nil {
		return none, ErrNoTracker
	}
	m, err := NewMessage(e)
	if err != nil {
		return none, err
	}
	if !t.accepting.TryRLock() {
		return none, fmt.Errorf("%w: %s", ErrClosed, SafeKey(m.Key))
	}
	t.accepting.RUnlock()
	m.Attempt = 1
	a := newAttempt(m, false)
	t.send(ctx, a)
	return a.Result, a.err
}

// Format prints the address to which the Tracker reports and nothing else, whatever the verb: no key, and no customer.
func (t *Tracker) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "fprom.Tracker("+t.cfg.BaseURL+")")
}
