package backfill_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/internal/outboxtest"
)

// discard is an outbox that keeps nothing, so that only the backfill's own memory is seen.
type discard struct {
	outboxtest.Outbox
	n int
}

func (d *discard) Put(_ context.Context, ms ...fprom.Message) error {
	d.n += len(ms)
	return nil
}

func (d *discard) Entries(context.Context, fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(func(fprom.Entry, error) bool) {}
}

// generated is a CSV file of n rows that nobody holds in memory.
func generated(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		buf := []byte("event_id,email,amount,currency,created_at\n")
		at := time.Date(2024, 3, 10, 12, 0, 0, 0, time.UTC)
		for i := range n {
			buf = fmt.Appendf(buf, "past_%08d,customer%07d@example.com,%d,USD,%s\n", i, i, 500+i%1000, at.Add(time.Duration(i)*time.Minute).Format(time.RFC3339))
			if len(buf) > 64<<10 {
				if _, err := w.Write(buf); err != nil {
					return
				}
				buf = buf[:0]
			}
		}
		_, _ = w.Write(buf)
		_ = w.Close()
	}()
	return r
}

// A million rows take no memory, but in a dry run for the hashes by which rows that come twice are known.
func TestAMillionRows(t *testing.T) {
	for _, c := range []struct {
		dry   bool
		bound uint64
	}{{false, 12 << 20}, {true, 40 << 20}} {
		rows := 1_000_000
		if testing.Short() || raceEnabled {
			rows = 50_000
		}
		runtime.GC()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		box, most, batches := &discard{}, uint64(0), 0
		start := time.Now()
		got, err := backfill.Run(t.Context(), generated(rows), backfill.Options{
			Format: minor, Outbox: box, DryRun: c.dry, RejectsPath: t.TempDir() + "/rejects", Progress: func(backfill.Progress) {
				if batches++; batches%50 == 0 {
					runtime.GC()
					runtime.ReadMemStats(&now)
					most = max(most, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
				}
			},
		})
		if err != nil || got.Queued != rows || !c.dry && box.n != rows || got.Warnings != 0 {
			t.Errorf("%+v %v", got, err)
		}
		if most > c.bound {
			t.Errorf("dry %v: %d MiB of heap, want at most %d", c.dry, most>>20, c.bound>>20)
		}
		t.Logf("dry %v: %d rows, %.0f a second, %d MiB of heap", c.dry, rows, float64(rows)/time.Since(start).Seconds(), most>>20)
	}
}
