package fpromtest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// heldError is what a Tracker tells its queue when the whole account must wait a second.
func heldError(t *testing.T) error {
	t.Helper()
	s := NewServer(t, InMemory())
	s.Inject(Status(429).RetryAfter("1"))
	q := &oneDelivery{put: make(chan fprom.Message, 1), err: make(chan error, 1)}
	cfg := s.Config()
	cfg.Queue, cfg.Logger = q, slog.New(slog.DiscardHandler)
	tracker, err := fprom.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tracker.Shutdown(t.Context()) }() // its event has no outcome, which is the point
	if err := tracker.Enqueue(t.Context(), fprom.Sale{EventID: "held", Email: "ann@example.com", Amount: 1}); err != nil {
		t.Fatal(err)
	}
	select {
	case err = <-q.err:
	case <-time.After(patience):
		t.Fatal("the delivery of a Tracker does not end")
	}
	if !fprom.IsHeld(err) {
		t.Fatalf("a Tracker says %v of a 429, which is not held", err)
	}
	return err
}

// oneDelivery is a queue that delivers one message once and keeps what became of it.
type oneDelivery struct {
	put chan fprom.Message
	err chan error
}

func (q *oneDelivery) Put(_ context.Context, ms ...fprom.Message) error {
	for _, m := range ms {
		q.put <- m
	}
	return nil
}

func (q *oneDelivery) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	select {
	case m := <-q.put:
		_, err := deliver(ctx, m)
		q.err <- err
		<-ctx.Done()
	case <-ctx.Done():
	}
	return nil
}

// Flush lets Shutdown end without waiting for an outcome.
func (q *oneDelivery) Flush(context.Context) error { return nil }

func (q *oneDelivery) Stats(context.Context) (fprom.QueueStats, error) {
	return fprom.QueueStats{}, nil
}

func (q *oneDelivery) Close() error { return nil }
