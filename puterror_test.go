package fprom_test

import (
	"context"
	"errors"
	"testing"

	"github.com/fprom-go/fprom"
)

// fullDisk is a queue that stores nothing while err is set.
type fullDisk struct {
	fprom.Queue
	err error
}

func (q *fullDisk) Put(ctx context.Context, m ...fprom.Message) error {
	if q.err != nil {
		return q.err
	}
	return q.Queue.Put(ctx, m...)
}

// Stats say why the last event was not stored, until one is.
func TestStatsSayWhyNothingIsStored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := &fullDisk{Queue: fprom.NewMemoryQueue(10), err: errors.New("no space left on device")}
		cfg := config(always(ok()))
		cfg.Queue = q
		tracker := start(t, cfg)
		for _, want := range []string{"no space left on device", ""} {
			if err := tracker.Enqueue(t.Context(), sale("a")); (err == nil) != (want == "") {
				t.Errorf("error %v, want %q", err, want)
			}
			if got := tracker.Stats().PutError; got != want {
				t.Errorf("PutError %q, want %q", got, want)
			}
			q.err = nil
		}
	})
}
