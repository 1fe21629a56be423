//go:build linux

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// ledgerSize is how many remembered ids the largest ledger of BenchmarkOutboxLedger has: $FPROM_BENCH_LEDGER.
func ledgerSize(b *testing.B) int {
	b.Helper()
	n := pick(5_000_000, 50_000)
	if s := os.Getenv("FPROM_BENCH_LEDGER"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		must(b, err)
	}
	return n
}

// BenchmarkOutboxBacklog: puts and deliveries while 0, 100,000 and 1,000,000 events wait. Goal: flat within 25 %.
func BenchmarkOutboxBacklog(b *testing.B) {
	loadRace(b, []load{{}, {pending: pick(100_000, 5_000)}, {pending: pick(1_000_000, 50_000)}})
}

// BenchmarkOutboxLedger: the same while 1, 100,000 and 5,000,000 ids of delivered events are remembered, of which each
// put must know that its own is none. Goal: within 25 %. The largest number is $FPROM_BENCH_LEDGER.
func BenchmarkOutboxLedger(b *testing.B) {
	loadRace(b, []load{{ledger: 1}, {ledger: pick(100_000, 5_000)}, {ledger: ledgerSize(b)}})
}

// load is what an outbox holds before it is measured.
type load struct{ pending, ledger int }

func (l load) String() string {
	if l.ledger > 0 {
		return thousands(l.ledger) + " remembered"
	}
	return thousands(l.pending) + " wait"
}

// loaded is an outbox under load, and what was measured of it, a value for each round.
type loaded struct {
	load
	q                     *boltqueue.Queue
	path                  string
	ids                   *sales
	fill, drain           float64 // events per second
	puts                  [len(putCallers)]putTimes
	again                 [][]time.Duration
	deliver4, deliver64   []float64
	knownFirst, knownLast uint64
}

// putTimes is the puts of so many callers at once, a value for each round.
type putTimes struct {
	rate, p99 []float64
	took      [][]time.Duration
}

var putCallers = [...]int{1, 8, 64}

const batch = 1000 // events in one Put, to fill an outbox

func loadRace(b *testing.B, loads []load) {
	b.Helper()
	dir := b.TempDir()
	var all []*loaded
	for i, l := range loads {
		path := filepath.Join(dir, strconv.Itoa(i))
		q, err := boltqueue.Open(path)
		must(b, err)
		x := &loaded{load: l, q: q, path: path, ids: newSales()}
		x.prepare(b)
		all = append(all, x)
	}
	rounds := pick(15, 3)
	for round := range rounds + 1 {
		for _, x := range all {
			x.measure(b, round > 0)
		}
	}
	for _, x := range all {
		must(b, x.q.Close())
	}
	tables(b, machine(b, dir), all)
}

// prepare brings the outbox to its load.
func (x *loaded) prepare(b *testing.B) {
	b.Helper()
	step := 100_000
	var filling, draining time.Duration
	for left := x.ledger; left > 0; left -= step {
		n := min(left, step)
		filling += putMany(b, x.q, x.ids, n)
		draining += deliverMany(b, x.q, n, 64)
	}
	filling += putMany(b, x.q, x.ids, x.pending)
	if n := float64(x.pending + x.ledger); n > 1 {
		x.fill = n / filling.Seconds()
	}
	if n := float64(x.ledger); n > 1 {
		x.drain = n / draining.Seconds()
	}
	x.knownFirst, x.knownLast = 1, uint64(x.pending+x.ledger)
	stats, err := x.q.Stats(context.Background())
	must(b, err)
	if stats.Pending != x.pending || stats.Ledger != x.ledger {
		b.Fatalf("prepared %+v, want %+v", stats, x.load)
	}
}

// measure does one round: puts one by one, then n events stored and delivered by 4 workers and by 64. It leaves as many events waiting as before.
func (x *loaded) measure(b *testing.B, keep bool) {
	b.Helper()
	window, n := time.Duration(pick(200, 30))*time.Millisecond, pick(4_000, 500)
	put := func(m fprom.Message) error { return x.q.Put(context.Background(), m) }
	for i, callers := range putCallers {
		rate, took := produce(b, callers, window, x.ids, put)
		if m := &x.puts[i]; keep {
			m.rate, m.p99, m.took = append(m.rate, rate), append(m.p99, float64(distOf(took).at(0.99))), append(m.took, took)
		}
	}
	again := x.putKnown(b)
	putMany(b, x.q, x.ids, n)
	rate4 := float64(n) / deliverMany(b, x.q, n, 4).Seconds()
	putMany(b, x.q, x.ids, n)
	rate64 := float64(n) / deliverMany(b, x.q, n, 64).Seconds()
	if stats, _ := x.q.Stats(context.Background()); stats.Pending > x.pending {
		deliverMany(b, x.q, stats.Pending-x.pending, 64)
	}
	if !keep {
		return
	}
	x.deliver4, x.deliver64, x.again = append(x.deliver4, rate4), append(x.deliver64, rate64), append(x.again, again)
}

// putKnown puts events again that are stored or remembered.
func (x *loaded) putKnown(b *testing.B) (took []time.Duration) {
	b.Helper()
	if x.knownLast == 0 {
		return nil
	}
	stride := uint64(7919)
	for i := range uint64(500) {
		m := x.ids.number(x.knownFirst + (i*stride)%x.knownLast)
		t := time.Now()
		must(b, x.q.Put(context.Background(), m))
		took = append(took, time.Since(t))
	}
	return took
}

// tables prints what was measured, beside the load that comes first.
func tables(b *testing.B, note string, all []*loaded) {
	b.Helper()
	puts := [][]string{{"puts while", "callers", "puts/s", "×", "p50", "p99", "×", "longest", "known id: p50 in µs"}}
	deliveries := [][]string{{"deliveries while", "4 workers: per s", "×", "64 workers: per s", "×", "filled per s", "drained per s", "file"}}
	times := func(v, floor []float64) string { return fmt.Sprintf("%.2f", against(v, floor)) }
	base := all[0]
	for _, x := range all {
		info, err := os.Stat(x.path)
		must(b, err)
		for i, m := range x.puts {
			d := distOf(m.took...)
			puts = append(puts, []string{
				x.String(), strconv.Itoa(putCallers[i]), whole(middle(m.rate)), times(m.rate, base.puts[i].rate), micros(d.at(0.5)),
				micros(d.at(0.99)), times(m.p99, base.puts[i].p99), millis(d.at(1)), dash(float64(distOf(x.again...).at(0.5).Microseconds())),
			})
			metric(b, against(m.rate, base.puts[i].rate), x.String(), "puts-by-"+strconv.Itoa(putCallers[i]))
		}
		deliveries = append(deliveries, []string{
			x.String(), whole(middle(x.deliver4)), times(x.deliver4, base.deliver4), whole(middle(x.deliver64)), times(x.deliver64, base.deliver64),
			dash(x.fill), dash(x.drain), fmt.Sprintf("%d MiB", info.Size()>>20),
		})
		metric(b, against(x.deliver64, base.deliver64), x.String(), "deliveries")
	}
	table(b, note, puts)
	table(b, note, deliveries)
}

// putMany stores n new events in large batches.
func putMany(b *testing.B, q *boltqueue.Queue, ids *sales, n int) time.Duration {
	b.Helper()
	start := time.Now()
	must(b, fill(q, ids, n))
	return time.Since(start)
}

func fill(q *boltqueue.Queue, ids *sales, n int) error {
	ms := make([]fprom.Message, 0, batch)
	for n > 0 {
		ms = ms[:0]
		for range min(n, batch) {
			ms = append(ms, ids.next())
		}
		if err := q.Put(context.Background(), ms...); err != nil {
			return err
		}
		n -= len(ms)
	}
	return nil
}

// deliverMany lets so many workers deliver n of the events that wait, and returns when the outcomes are on disk.
func deliverMany(b *testing.B, q *boltqueue.Queue, n, workers int) time.Duration {
	b.Helper()
	start := time.Now()
	must(b, drain(q, n, workers))
	return time.Since(start)
}

func drain(q *boltqueue.Queue, n, workers int) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	workersOf.Store(q, workers)
	var delivered atomic.Int64
	return runQueue(ctx, q, func(context.Context, fprom.Message) error {
		if delivered.Add(1) == int64(n) {
			stop()
		}
		return nil
	})
}
