package fprom_test

import (
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// What a checkout pays for an accepted sale. Not parallel: it counts the allocations of the whole program.
func TestAllocationsOfEnqueue(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates on its own; the count is taken without it")
	}
	cfg := config(always(reply{hang: true}))
	cfg.Timeout = time.Hour
	tracker := start(t, cfg)
	const runs = 5000
	events := make([]fprom.Event, 0, 2*runs)
	for i := range cap(events) {
		s := sale("ch_" + strconv.Itoa(i))
		s.Plan, s.TID, s.Quantity = "pro", "6a5c5ea2-7a0f-4b7e-bf6c-3c3c5c0f9e2a", 1
		events = append(events, s)
	}
	ctx := t.Context()
	i := 0
	one := func() {
		if err := tracker.Enqueue(ctx, events[i]); err != nil {
			t.Fatal(err)
		}
		i++
	}
	for range runs / 2 { // the workers are busy, and the tables have grown
		one()
	}
	limit := 12.0
	if raceEnabled {
		limit = 16
	}
	if n := testing.AllocsPerRun(runs, one); n > limit {
		t.Errorf("%v allocations, want at most %v", n, limit)
	}
	i = 0
	if n := testing.AllocsPerRun(runs/4, one); n > limit {
		t.Errorf("%v allocations for a known event, want at most %v", n, limit)
	}
}

func BenchmarkEnqueue(b *testing.B) {
	cfg := config(nil)
	cfg.Queue = sink{}
	tracker := start(b, cfg)
	events := make([]fprom.Event, b.N)
	for i := range events {
		events[i] = sale("ch_" + strconv.Itoa(i))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, e := range events {
		if err := tracker.Enqueue(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDedupeMemory reports what an event id takes in the cache, beside its own bytes.
func BenchmarkDedupeMemory(b *testing.B) {
	for _, entries := range []int{1 << 16, 1 << 18, 1_000_000} {
		b.Run(strconv.Itoa(entries), func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				cfg := config(nil)
				cfg.Queue, cfg.Dedupe.MaxEntries = sink{}, 2*entries+1<<14 // so that nothing is forgotten
				tracker := start(b, cfg)
				runtime.GC()
				runtime.ReadMemStats(&before)
				size := 0
				for i := range entries {
					id := "ch_" + strconv.Itoa(i)
					size += len("sale:") + len(id)
					if err := tracker.Enqueue(b.Context(), fprom.Sale{EventID: id, UID: "u", Amount: 1}); err != nil {
						b.Fatal(err)
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				if known := tracker.Stats().Known; known != 0 {
					b.Fatal(known)
				}
				b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc)-float64(size))/float64(entries), "bytes/entry")
			}
		})
	}
}

// BenchmarkDedupeStall reports the longest Enqueues while the cache holds a million ids and forgets the older half of
// them again and again: 256 times in two million calls. The garbage collector and the machine stop a program as well, so
// the collector is off, and the longest stops of a loop that does nothing are reported beside them.
func BenchmarkDedupeStall(b *testing.B) {
	const entries = 1_000_000
	cfg := config(nil)
	cfg.Queue, cfg.Dedupe.MaxEntries = sink{}, entries
	tracker := start(b, cfg)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	n := 0
	enqueueNext := func() {
		n++
		if err := tracker.Enqueue(b.Context(), fprom.Sale{EventID: "ch_" + strconv.Itoa(n), UID: "u", Amount: 1}); err != nil {
			b.Fatal(err)
		}
	}
	for range entries {
		enqueueNext()
	}
	var work, idle []time.Duration
	for b.Loop() {
		work, idle = longest(2*entries, enqueueNext), longest(2*entries, func() { spin(1000) })
	}
	report := func(name string, took []time.Duration) {
		over, _ := slices.BinarySearch(took, time.Millisecond)
		b.ReportMetric(float64(took[len(took)-1].Microseconds()), name+"-max-µs")
		b.ReportMetric(float64(took[len(took)-256].Microseconds()), name+"-256th-µs")
		b.ReportMetric(float64(len(took)-over), name+"-over-1ms")
	}
	report("enqueue", work)
	report("idle", idle)
}

// longest runs f n times and returns how long each took, the longest last.
func longest(n int, f func()) []time.Duration {
	took := make([]time.Duration, n)
	for i := range took {
		begin := time.Now()
		f()
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	return took
}

// spin does nothing for about n nanoseconds.
func spin(n int) {
	for i := range n {
		runtime.KeepAlive(i)
	}
}
