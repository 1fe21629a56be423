//go:build linux

package bench

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"golang.org/x/sys/unix"
)

// contender is one way of doing the work that a benchmark compares. run does it n times; prepare, if there is one, is
// called before and not measured.
type contender struct {
	name    string
	prepare func(n int)
	run     func(n int)
}

// measured is what a contender needed for one operation: medians over the rounds.
type measured struct {
	ns     float64
	cpu    float64 // of the whole process, in the background too
	allocs float64
	bytes  float64
}

// race runs the contenders in turn for so many rounds of n operations each, logs a table with ratios to the first one
// (the floor), and reports the ratios as metrics. A round of each comes before, to warm up.
func race(b *testing.B, rounds, n int, cs ...contender) {
	b.Helper()
	samples := make([][]measured, len(cs))
	for round := range rounds + 1 {
		for i, c := range cs {
			if c.prepare != nil {
				c.prepare(n)
			}
			m := once(c.run, n)
			if round > 0 {
				samples[i] = append(samples[i], m)
			}
		}
	}
	result := make([]measured, len(cs))
	for i := range cs {
		result[i] = median(samples[i])
	}
	report(b, cs, result)
}

func once(run func(int), n int) measured {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, start := processorTime(), time.Now()
	run(n)
	d := time.Since(start)
	cpu = processorTime() - cpu
	runtime.ReadMemStats(&after)
	per := func(x uint64) float64 { return float64(x) / float64(n) }
	return measured{float64(d.Nanoseconds()) / float64(n), float64(cpu.Nanoseconds()) / float64(n), per(after.Mallocs - before.Mallocs), per(after.TotalAlloc - before.TotalAlloc)}
}

// processorTime is what this process has used so far, the kernel's work for it included.
func processorTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(s []measured) measured {
	pick := func(f func(measured) float64) float64 {
		v := make([]float64, len(s))
		for i := range s {
			v[i] = f(s[i])
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return measured{
		pick(func(m measured) float64 { return m.ns }),
		pick(func(m measured) float64 { return m.cpu }),
		pick(func(m measured) float64 { return m.allocs }),
		pick(func(m measured) float64 { return m.bytes }),
	}
}

func report(b *testing.B, cs []contender, result []measured) {
	b.Helper()
	rows := [][]string{{"contender", "ns/op", "× " + cs[0].name, "throughput", "CPU ns/op", "allocs/op", "B/op"}}
	for i, m := range result {
		ratio := m.ns / result[0].ns
		rows = append(rows, []string{
			cs[i].name, whole(m.ns), fmt.Sprintf("%.2f", ratio), percent(1 / ratio), whole(m.cpu), fmt.Sprintf("%.1f", m.allocs), whole(m.bytes),
		})
		if i > 0 {
			metric(b, ratio, cs[i].name, "floor")
		}
	}
	table(b, fmt.Sprintf("%d CPUs, %s", runtime.NumCPU(), runtime.Version()), rows)
}

// tracker returns a Tracker with pacing lifted and nothing logged.
func tracker(b *testing.B, cfg fprom.Config) *fprom.Tracker {
	b.Helper()
	cfg.RequestsPerMinute, cfg.Burst = 1<<30, 1<<20
	return quietTracker(b, cfg)
}

// quietTracker returns a Tracker that logs nothing.
func quietTracker(b *testing.B, cfg fprom.Config) *fprom.Tracker {
	b.Helper()
	cfg.APIKey, cfg.AccountID = "key", "account"
	cfg.Logger = slog.New(slog.DiscardHandler)
	t, err := fprom.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	return t
}
