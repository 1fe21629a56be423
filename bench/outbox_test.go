//go:build linux

package bench

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"go.etcd.io/bbolt"
)

// BenchmarkOutboxPut: events that are on disk, per second, and how long one takes, with 1, 8 and 64 callers at once.
// The floor is a bare bbolt loop that writes the same bytes in groups that gather in the same way. The others show what
// bbolt costs above the bare disk, what a plain index of the event ids would cost, and SQLite.
// Goals: at least 85 % of the floor, and a p99 of at most 1.5 times that of the floor.
func BenchmarkOutboxPut(b *testing.B) {
	for _, producers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("producers=%d", producers), func(b *testing.B) { putRace(b, producers) })
	}
}

func putRace(b *testing.B, producers int) {
	b.Helper()
	dir := b.TempDir()
	rounds, window := pick(15, 3), time.Duration(pick(250, 50))*time.Millisecond
	stores := []store{
		openFloor(b, dir, "bare bbolt", false), openOutbox(b, dir), openFloor(b, dir, "bare bbolt + index", true),
		openAppend(b, dir), openSQLite(b, dir),
	}
	ids := newSales()
	rates, groups, cpu := make([][]float64, len(stores)), make([][]float64, len(stores)), make([][]float64, len(stores))
	latencies := make([][][]time.Duration, len(stores))
	for round := range rounds + 1 {
		for i, s := range stores {
			runtime.GC() // nobody pays for the garbage of the one before
			commits, used := s.commits(), processorTime()
			rate, l := produce(b, producers, window, ids, s.put)
			if round == 0 {
				continue
			}
			puts := float64(len(l))
			cpu[i] = append(cpu[i], float64((processorTime()-used).Nanoseconds())/puts)
			groups[i] = append(groups[i], puts/float64(s.commits()-commits))
			rates[i], latencies[i] = append(rates[i], rate), append(latencies[i], l)
		}
	}
	rows := [][]string{{"store", "puts/s", "of the floor", "p50", "p99", "× the floor's", "puts in a commit", "CPU for a put"}}
	floor := distOf(latencies[0]...).at(0.99)
	for i, s := range stores {
		must(b, s.close())
		d, ratio := distOf(latencies[i]...), against(rates[i], rates[0])
		slower := float64(d.at(0.99)) / float64(floor)
		rows = append(rows, []string{
			s.name, whole(middle(rates[i])), percent(ratio), micros(d.at(0.5)), micros(d.at(0.99)),
			fmt.Sprintf("%.2f", slower), fmt.Sprintf("%.1f", middle(groups[i])), micros(time.Duration(middle(cpu[i]))),
		})
		metric(b, ratio, s.name, "floor")
		metric(b, slower, s.name, "p99/floor")
	}
	sameBytes(b, stores[0].path, stores[1].path)
	table(b, machine(b, dir), rows)
}

// produce lets n callers put for as long as d. It returns the puts per second and how long each took.
func produce(b *testing.B, n int, d time.Duration, ids *sales, put func(fprom.Message) error) (float64, []time.Duration) {
	b.Helper()
	took := make([][]time.Duration, n)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range n {
		wg.Go(func() {
			for time.Since(start) < d {
				m := ids.next()
				t := time.Now()
				if err := put(m); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(t))
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	return float64(len(all)) / time.Since(start).Seconds(), all
}

// sameBytes checks that the floor wrote values about as long as boltqueue's: else the race would be unfair.
func sameBytes(b *testing.B, paths ...string) {
	b.Helper()
	var sizes []int
	for _, path := range paths {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, NoFreelistSync: true})
		must(b, err)
		must(b, db.View(func(tx *bbolt.Tx) error {
			_, v := tx.Bucket([]byte("open")).Cursor().Last()
			sizes = append(sizes, len(v))
			return nil
		}))
		must(b, db.Close())
	}
	if sizes[0] == 0 || max(sizes[0]-sizes[1], sizes[1]-sizes[0]) > 8 {
		b.Fatalf("a value of the floor has %d bytes, one of boltqueue %d", sizes[0], sizes[1])
	}
}
