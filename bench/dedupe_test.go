//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/patrickmn/go-cache"
	"golang.org/x/sys/unix"
)

// registers is a FirstPromoter in memory that registers every event, so that only the Tracker's own work is measured.
type registers struct{}

func (registers) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"id":1}`))}, nil
}

// BenchmarkDedupe: Track while the dedupe cache holds 1,000,000 ids and forgets old ones all the time, beside the same
// loop with a cache of 128 ids (what the collector and the machine do to any program), and beside a plain go-cache whose
// janitor purges 1,000,000 expired keys. Goal: no stall over 1 ms from the clean-up.
//
// A stall counts as the machine's if the kernel took the processor away during it. The rows without garbage collection
// show what is left when the collector is not at work: the clean-up alone.
func BenchmarkDedupe(b *testing.B) {
	ids, n := pick(1_000_000, 50_000), pick(2_000_000, 150_000)
	rows := [][]string{{"Track with", "p50", "p99", "p99.9", "p99.99", "longest", "over 1 ms", "of these the machine's", "longest else"}}
	for _, gc := range []int{100, -1} {
		for _, entries := range []int{128, ids} {
			name := "a cache of " + thousands(entries) + " ids"
			if gc < 0 {
				name += ", no collections"
			}
			rows = append(rows, trackMany(b, entries, n, gc).row(b, name))
		}
	}
	s := purge(ids)
	rows = append(rows, s.row(b, "go-cache Add while its janitor purges "+thousands(ids)))
	table(b, fmt.Sprintf("%s calls, one after the other; ids of %d bytes", thousands(n), len(saleID(0))), rows)
}

func saleID(i int) string { return fmt.Sprintf("ch_%024d", i) }

// stalls is how long each call took, and of the long ones whose fault it was.
type stalls struct {
	took    []time.Duration
	machine int           // longer than 1 ms, the kernel had taken the processor away
	longest time.Duration // of the others
}

// do times f. The goroutine must be locked to its thread.
func (s *stalls) do(f func()) {
	before := switches()
	start := time.Now()
	f()
	d := time.Since(start)
	s.took = append(s.took, d)
	switch {
	case d > time.Millisecond && switches() > before:
		s.machine++
	case d > s.longest:
		s.longest = d
	}
}

// switches is how often the kernel took the processor away from this thread.
func switches() int64 {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_THREAD, &u)
	return int64(u.Nivcsw) //nolint:unconvert // an int32 on 386
}

func (s *stalls) row(b *testing.B, name string) []string {
	b.Helper()
	d := distOf(s.took)
	metric(b, float64(s.longest.Nanoseconds())/1e6, name, "longest-ms")
	return []string{
		name, micros(d.at(0.5)), micros(d.at(0.99)), micros(d.at(0.999)), micros(d.at(0.9999)), micros(d.at(1)),
		whole(float64(d.longerThan(time.Millisecond))), whole(float64(s.machine)), micros(s.longest),
	}
}

// trackMany fills a cache of so many entries, then times n further events.
func trackMany(b *testing.B, entries, n, gc int) *stalls {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	s := &stalls{took: make([]time.Duration, 0, n)}
	t := tracker(b, fprom.Config{HTTPClient: &http.Client{Transport: registers{}}, Dedupe: fprom.DedupeConfig{MaxEntries: entries}})
	defer shutdown(t)
	track := func(e fprom.Event) {
		if _, err := t.Track(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
	event := func(i int) fprom.Event {
		return fprom.Sale{EventID: saleID(i), Email: "customer@example.com", Amount: 1999, Currency: "USD", Plan: "pro"}
	}
	for i := range entries {
		track(event(i))
	}
	debug.SetGCPercent(gc)
	for i := range n {
		e := event(entries + i)
		s.do(func() { track(e) })
	}
	return s
}

// purge lets the janitor of a plain go-cache remove so many keys at once, while keys are added.
func purge(keys int) *stalls {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &stalls{}
	for range 3 {
		runtime.GC()
		const interval = 4 * time.Second
		start := time.Now()
		c := cache.New(time.Hour, interval)
		for i := range keys {
			c.Set(saleID(i), struct{}{}, interval-time.Since(start)-time.Second/2) // all before the janitor comes
		}
		time.Sleep(time.Until(start.Add(interval - time.Second/4)))
		for i := keys; c.ItemCount() > keys/2 || time.Since(start) < interval+time.Second/4; i++ {
			id := saleID(i)
			s.do(func() { _ = c.Add(id, struct{}{}, time.Hour) })
			if time.Since(start) > 2*interval {
				break
			}
		}
	}
	return s
}
