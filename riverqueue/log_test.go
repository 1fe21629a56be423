package riverqueue_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fprom-go/fprom"
)

type panicking struct {
	slog.Handler
	lines *atomic.Int64
}

func (panicking) Enabled(context.Context, slog.Level) bool { return true }
func (h panicking) Handle(context.Context, slog.Record) error {
	h.lines.Add(1)
	panic("foreign code")
}

// TestPanickingLogger: a Logger that panics does not end the process.
func TestPanickingLogger(t *testing.T) {
	t.Parallel()
	cfg := quick(t)
	var lines atomic.Int64
	cfg.Logger = slog.New(panicking{slog.DiscardHandler, &lines})
	q, pool := open(t, cfg)
	put(t, q, sale("1", "ann", 100))
	execSQL(t, pool, strings.ReplaceAll(`DELETE FROM $s.river_job`, "$s", cfg.Schema)) // the sweep says so
	var n atomic.Int64
	start(t, q, func(context.Context, fprom.Message) error {
		if n.Add(1) == 1 {
			panic("a delivery too") // a worker of River says so
		}
		return nil
	})
	flush(t, q)
	if lines.Load() < 2 {
		t.Errorf("%d lines were logged, want those of the sweep and of the delivery", lines.Load())
	}
}
