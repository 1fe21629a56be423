package fprom_test

import (
	"context"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// foreignQueue delivers a message that no Tracker made, as a store that another release wrote may.
type foreignQueue struct {
	m    fprom.Message
	said chan error
}

func (foreignQueue) Put(context.Context, ...fprom.Message) error { return nil }

func (q foreignQueue) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	time.Sleep(time.Minute)
	_, err := deliver(ctx, q.m)
	q.said <- err
	<-ctx.Done()
	return nil
}

func TestMessageOfAnUnknownKind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 429, header: header("Retry-After", "59")})
		q := foreignQueue{fprom.Message{Key: "gift:1", Kind: "gift/../sale", Body: []byte(`{}`), Attempt: 1}, make(chan error, 1)}
		cfg := config(f)
		cfg.Queue = q
		tracker := start(t, cfg)
		_, _ = tracker.Track(t.Context(), sale("x"))
		if err := <-q.said; !fprom.IsPermanent(err) {
			t.Errorf("the queue is told %v", err)
		}
		s := tracker.Stats()
		if len(f.seen()) != 1 || s.Attempts != 1 {
			t.Errorf("%d calls, %d attempts, want 1", len(f.seen()), s.Attempts)
		}
		if s.PausedUntil.IsZero() {
			t.Error("a message that was not sent ended the pause")
		}
	})
}

// Flush, Stats and Close implement fprom.Queue.
func (foreignQueue) Flush(context.Context) error { return nil }

func (foreignQueue) Stats(context.Context) (fprom.QueueStats, error) { return fprom.QueueStats{}, nil }

func (foreignQueue) Close() error { return nil }
