package fprom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Tracker reports events to FirstPromoter. Make one per FirstPromoter account with New and share it: all methods are
// safe for concurrent use. A nil *Tracker is valid: its methods return ErrNoTracker, and a middleware with it tracks nothing.
type Tracker struct {
	client   *client
	queue    Queue
	dedupe   *dedupe
	breaker  *breaker
	pause    *pause
	limit    *pacer
	perMin   int
	workers  int
	retry    RetryConfig
	log      *slog.Logger
	observer func(context.Context, Step)
	counts   *counters

	accepting sync.RWMutex // held for reading while an event is put into the queue
	closed    bool
	stop      context.CancelFunc // of the queue's Run
	ran       chan struct{}      // closed when Run has returned for good
	shutdown  sync.Once
	ended     error // what the first Shutdown returned
}

// putTimeout bounds Put of every queue but the one in memory, which does not wait.
const putTimeout = time.Second

// New checks cfg, starts the delivery of what the queue holds, and returns the Tracker. An error is a *ValidationError
// that names the field of cfg. Nothing is sent until there is an event. Call Shutdown at the end.
func New(cfg Config) (*Tracker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	client, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	t := &Tracker{
		client: client, queue: cfg.Queue, dedupe: newDedupe(cfg.Dedupe),
		breaker: newBreaker(cfg.Breaker, cfg.Logger), pause: &pause{}, limit: newPacer(cfg.RequestsPerMinute, cfg.Burst), perMin: cfg.RequestsPerMinute, workers: cfg.Workers,
		retry: cfg.Retry, log: cfg.Logger, observer: cfg.Observer, counts: newCounters(), ran: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	go t.run(ctx)
	return t, nil
}

// run keeps the queue running until Shutdown.
func (t *Tracker) run(ctx context.Context) {
	defer close(t.ran)
	for {
		err := t.queue.Run(ctx, t.workers, t.deliver)
		if ctx.Err() != nil {
			return
		}
		t.log.Error("fprom: the queue stopped delivering; it is started again in a second", "error", err)
		if sleep(ctx, time.Second) != nil {
			return
		}
	}
}

// Enqueue accepts e for delivery, and returns when the queue has stored it; it never waits for the network. nil means
// that e will be delivered, or that an event with its id was accepted or delivered before. It waits at most a second
// for the queue, whatever ctx says: ctx is for its values. Errors: *ValidationError, ErrQueueFull, ErrClosed, or the queue's.
func (t *Tracker) Enqueue(ctx context.Context, events ...Event) error {
	if t == nil {
		return ErrNoTracker
	}
	for _, e := range events {
		if err := t.enqueue(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tracker) enqueue(ctx context.Context, e Event) error {
	m, err := NewMessage(e)
	if err != nil {
		return err
	}
	t.accepting.RLock()
	defer t.accepting.RUnlock()
	if t.closed {
		return fmt.Errorf("%w: %s", ErrClosed, m.name())
	}
	amount, currency := e.money()
	claim, err := t.dedupe.claim(ctx, m.Key, digest(amount, currency))
	switch {
	case err != nil:
		return fmt.Errorf("fprom: %s: wait for the same event to be stored: %w", m.name(), err)
	case claim == known:
		t.counts.known.Add(1)
		return nil
	case claim == conflicted:
		t.observe(ctx, Step{Stage: StageConflict, Message: m, Err: ErrConflict})
		return fmt.Errorf("%w: %s", ErrConflict, m.name())
	}
	err = t.put(ctx, m)
	t.dedupe.stored(m.Key, err == nil)
	switch {
	case errors.Is(err, ErrConflict):
		t.observe(ctx, Step{Stage: StageConflict, Message: m, Err: err})
		return err
	case err != nil:
		return fmt.Errorf("fprom: %s was not stored: %w", m.name(), err)
	}
	t.observe(ctx, Step{Stage: StageEnqueued, Message: m})
	return nil
}

func (t *Tracker) put(ctx context.Context, m Message) error {
	if q, ok := t.queue.(*memoryQueue); ok {
		return q.Put(ctx, m)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
	defer cancel()
	return t.queue.Put(ctx, m)
}

// Track makes one attempt now, under the rate limit and after any pause of the account: give ctx a deadline. Its error
// is nil exactly for the outcomes Tracked, NotReferral and Duplicate. Rejected comes with its *APIError; Undelivered
// with ErrCircuitOpen (nothing was sent), ErrPaused (ctx ended in a pause; nothing was sent), an error that wraps
// ErrUnauthorized, an *APIError or the network's error, or ctx's error. An event with the same id that is being sent by
// another call is waited for; one that waits in the queue is not sent again by it.
func (t *Tracker) Track(ctx context.Context, e Event) (Result, error) {
	none := Result{Outcome: Undelivered}
	if t == nil {
		return none, ErrNoTracker
	}
	m, err := NewMessage(e)
	if err != nil {
		return none, err
	}
	t.accepting.RLock()
	closed := t.closed
	t.accepting.RUnlock()
	if closed {
		return none, fmt.Errorf("%w: %s", ErrClosed, m.name())
	}
	m.Attempt = 1
	v := t.attempt(ctx, m, false)
	t.report(ctx, m, v, false)
	return v.Result, v.err
}

// Format prints which account the Tracker reports to and nothing else, whatever the verb: not the key, and no customer.
func (t *Tracker) Format(f fmt.State, _ rune) {
	if t == nil {
		_, _ = io.WriteString(f, "fprom.Tracker(nil)")
		return
	}
	_, _ = io.WriteString(f, "fprom.Tracker("+t.client.base+")")
}

// deliver is what the queue calls for each message; its error tells the queue what to do with it.
func (t *Tracker) deliver(ctx context.Context, m Message) (Result, error) {
	v := t.attempt(ctx, m, true)
	t.report(ctx, m, v, true)
	switch v.class {
	case classDone:
		return v.Result, nil
	case classAskAgain:
		return v.Result, &deliveryError{err: v.err, held: true, wait: v.pause, exact: true}
	default:
		held := v.class != classRejected && v.class != classTransient
		return v.Result, &deliveryError{err: v.err, permanent: v.class == classRejected, held: held, wait: v.pause, retry: t.retry}
	}
}

// attempt takes m through the stages: dedupe → pause → breaker → pace → client, and its verdict back through them.
// queued attempts wait at an open breaker; the others fail there.
func (t *Tracker) attempt(ctx context.Context, m Message, queued bool) verdict {
	claim, err := t.dedupe.begin(ctx, m)
	switch {
	case err != nil:
		return unsent(m, err)
	case claim == conflicted:
		t.observe(ctx, Step{Stage: StageConflict, Message: m, Err: ErrConflict})
		fallthrough
	case claim == known:
		return verdict{Result: Result{Outcome: Duplicate}}
	}
	v := t.admitAndPost(ctx, m, queued)
	if queued {
		v = t.conclude(m, v)
	}
	t.dedupe.finish(m, queued, v.class == classDone, v.class == classRejected)
	return v
}

// conclude says what the verdict on an attempt means for an event that can be tried again.
func (t *Tracker) conclude(m Message, v verdict) verdict {
	switch {
	case v.class == classDone && v.Outcome == NotReferral:
		return t.askAgain(m, v)
	case v.class == classTransient && t.retry.MaxAttempts > 0 && m.Attempt >= t.retry.MaxAttempts:
		v.class = classRejected
		v.err = fmt.Errorf("%w (gave up after %d attempts)", v.err, m.Attempt)
	}
	return v
}

func (t *Tracker) admitAndPost(ctx context.Context, m Message, queued bool) verdict {
	for {
		ticket, err := t.pause.enter(ctx)
		if err != nil {
			return unsent(m, err)
		}
		pass, err := t.breaker.enter(ctx, queued)
		if err != nil {
			t.pause.leave(ticket)
			return unsent(m, err)
		}
		err = t.pace(ctx)
		if err != nil || !t.pause.valid(ticket) || !pass.valid() {
			pass.report(ctx, errExcluded)
			t.pause.leave(ticket)
			if err != nil {
				return unsent(m, err)
			}
			continue // while this event waited, the answer to another paused the account or opened the breaker
		}
		v := t.client.post(ctx, m, queued && t.observer == nil)
		pass.report(ctx, v.forBreaker())
		t.concludePause(ctx, ticket, &v)
		return v
	}
}

// pace waits for this process's limit, then for the one it shares with others, if the queue has one.
func (t *Tracker) pace(ctx context.Context) error {
	if err := t.limit.wait(ctx); err != nil {
		return err
	}
	if q, ok := t.queue.(Limiter); ok {
		return q.Admit(ctx, t.perMin)
	}
	return nil
}

// concludePause begins or ends the account's pause by the verdict of an attempt.
func (t *Tracker) concludePause(ctx context.Context, of ticket, v *verdict) {
	switch {
	case !v.sent:
		t.pause.leave(of)
	case v.class == classDone, v.class == classRejected:
		t.pause.clear(of)
	case v.class == classThrottled, v.class == classRefused, v.class == classEndpoint:
		d := t.pause.begin(of, v.pause, t.retry.ProbeInterval, v.err)
		if q, ok := t.queue.(Limiter); ok && d > 0 {
			if err := q.Pause(context.WithoutCancel(ctx), d, v.err); err != nil {
				t.log.Warn("fprom: the pause could not be told to the other processes", "error", err)
			}
		}
	default:
		t.pause.leave(of)
	}
}

func (v verdict) forBreaker() error {
	switch v.class {
	case classDone:
		return nil
	case classTransient, classEndpoint:
		return errFailure
	default:
		return errExcluded
	}
}

func unsent(m Message, err error) verdict {
	if !errors.Is(err, ErrCircuitOpen) {
		err = fmt.Errorf("fprom: %s was not sent: %w", m.name(), err)
	}
	return verdict{Result: Result{Outcome: Undelivered}, class: classUnsent, err: err}
}

// askAgain puts off a NotReferral that may have come too early (RetryConfig.NotFound).
func (t *Tracker) askAgain(m Message, v verdict) verdict {
	if m.Kind != KindSale || len(t.retry.NotFound) == 0 {
		return v
	}
	e, err := decode[Sale](m.Body)
	if sale, ok := e.(Sale); err != nil || !ok || sale.TID == "" && sale.RefID == "" && sale.PromoCode == "" {
		return v
	}
	age := time.Since(m.RecordedAt)
	for _, at := range t.retry.NotFound {
		if age < at {
			v.class, v.pause = classAskAgain, at-age
			v.err = fmt.Errorf("fprom: %s carries a referral that FirstPromoter does not know yet: asked again in %v", m.name(), v.pause.Round(time.Second))
			return v
		}
	}
	return v
}
