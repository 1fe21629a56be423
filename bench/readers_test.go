//go:build linux

package bench

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// BenchmarkOutboxReaders: a put alone, and while 100 others read status and entries over the socket, one after the other
// without a pause. Goal: the p99 within 2 ms of that alone. The readers are in this process, so their own work counts too.
func BenchmarkOutboxReaders(b *testing.B) {
	path := filepath.Join(b.TempDir(), "o")
	q, err := boltqueue.Open(path)
	must(b, err)
	ids := newSales()
	putMany(b, q, ids, pick(20_000, 1_000))
	window := time.Duration(pick(1000, 50)) * time.Millisecond
	others := make([]fprom.Outbox, 100)
	for i := range others {
		others[i], err = boltqueue.Dial(path)
		must(b, err)
	}
	var alone, beside [][]time.Duration
	for range pick(15, 2) {
		_, l := produce(b, 1, window, ids, func(m fprom.Message) error { return q.Put(b.Context(), m) })
		alone = append(alone, l)
		ctx, stop := context.WithCancel(b.Context())
		var readers sync.WaitGroup
		for i, r := range others {
			readers.Go(func() { readAll(ctx, r, i%2 == 0) })
		}
		_, l = produce(b, 1, window, ids, func(m fprom.Message) error { return q.Put(b.Context(), m) })
		beside = append(beside, l)
		stop()
		readers.Wait()
	}
	must(b, q.Close())
	rows := [][]string{{"a put by 1 caller", "p50", "p99"}}
	for _, x := range []struct {
		name string
		took [][]time.Duration
	}{{"alone", alone}, {"beside 100 readers", beside}} {
		d := distOf(x.took...)
		rows = append(rows, []string{x.name, micros(d.at(0.5)), micros(d.at(0.99))})
		metric(b, float64(d.at(0.99).Microseconds()), x.name, "p99-µs")
	}
	table(b, machine(b, b.TempDir()), rows)
}

// readAll reads until ctx ends. An answer that ctx cut short is none.
func readAll(ctx context.Context, r fprom.Outbox, status bool) {
	for ctx.Err() == nil {
		if status {
			_, _ = r.Stats(ctx)
			continue
		}
		for range r.Entries(ctx, fprom.Filter{Limit: 100}) {
			continue
		}
	}
}
