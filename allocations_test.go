package fprom_test

import (
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
	begun := make(chan struct{}, 100)
	cfg := config(&fake{answer: func(int, call) reply { begun <- struct{}{}; return reply{hang: true} }})
	cfg.Timeout, cfg.Workers = time.Hour, 64
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
	for range runs / 2 { // the tables have grown
		one()
	}
	for range cfg.Workers { // the workers are busy
		<-begun
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
