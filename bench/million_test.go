//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom/boltqueue"
	"golang.org/x/sys/unix"
)

// BenchmarkOutboxMillion: what it costs that 1,000,000 events wait. Goals: reopened in under 5 s, also after a crash; 100 MiB
// of memory. It states the bytes on disk of a waiting event and of a remembered id.
func BenchmarkOutboxMillion(b *testing.B) {
	dir, n := b.TempDir(), pick(1_000_000, 20_000)
	note := machine(b, dir)
	path := filepath.Join(dir, "outbox")

	filled, end := startChild(b, childTask{Path: path, Put: n})
	end(true)
	killed := copyOf(b, path, "killed")
	reopened, end := startChild(b, childTask{Path: path})
	end(false)
	table(b, note+fmt.Sprintf("; %s events wait, 64 deliveries hang", thousands(n)), [][]string{
		{"process", "heap in use", "grown by", "resident, its own", "grown by", "resident, pages of the file", "peak of both"},
		memoryRow(b, "that stored them", filled, n), memoryRow(b, "that found them", reopened, n),
	})

	size := fileSize(b, path)
	must(b, boltqueue.Compact(copyOf(b, path, "compact")))
	openings := [][]string{{"opened with " + thousands(n) + " waiting", "median", "longest", "file"}}
	openings = append(openings,
		openRow(b, "after Close", path, n, false), openRow(b, "after Close, file not in the page cache", path, n, true),
		openRow(b, "after SIGKILL, file not in the page cache", killed, n, true),
	)
	_, end = startChild(b, childTask{Path: path, Put: n / 2, Deliver: n / 2, First: uint64(n)})
	end(true)
	openings = append(openings, openRow(b, fmt.Sprintf("after SIGKILL, when %s were delivered", thousands(n/2)), path, n, true))
	table(b, note, openings)

	ledger := filepath.Join(dir, "ledger")
	q, err := boltqueue.Open(ledger)
	must(b, err)
	ids := newSales()
	for range 10 {
		must(b, fill(q, ids, n/10))
		must(b, drain(q, n/10, 64))
	}
	must(b, q.Close())
	ledgerSize := fileSize(b, ledger)
	must(b, boltqueue.Compact(ledger))
	per := func(bytes int64) string { return fmt.Sprintf("%.0f", float64(bytes)/float64(n)) }
	table(b, note, [][]string{
		{"bytes on disk", "of the file as it is", "after Compact"},
		{"of a waiting event (body of " + strconv.Itoa(len(ids.template.Body)) + ")", per(size), per(fileSize(b, filepath.Join(dir, "compact")))},
		{"of a remembered id", per(ledgerSize), per(fileSize(b, ledger))},
	})
}

func memoryRow(b *testing.B, name string, r childReport, n int) []string {
	b.Helper()
	if r.Pending != n {
		b.Fatalf("%d events wait, not %d", r.Pending, n)
	}
	mib := func(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
	grown := r.Now.Own - r.Before.Own
	metric(b, float64(grown)/(1<<20), name, "MiB")
	return []string{
		name, mib(int64(r.Heap)), mib(int64(r.Heap) - int64(r.HeapBefore)), mib(r.Now.Own), mib(grown), mib(r.Now.File - r.Before.File), mib(r.Peak),
	}
}

// openRow opens copies of the file, as they were left, several times.
func openRow(b *testing.B, name, path string, n int, cold bool) []string {
	b.Helper()
	var took []time.Duration
	for range pick(5, 2) {
		again := copyOf(b, path, "again")
		if cold {
			dropCache(b, again)
		}
		start := time.Now()
		q, err := boltqueue.Open(again)
		took = append(took, time.Since(start))
		must(b, err)
		stats, err := q.Stats(context.Background())
		must(b, err)
		if stats.Pending > n || stats.Pending < n-64 { // those under way may have been delivered beyond the number
			b.Fatalf("%+v, want %d pending", stats, n)
		}
		must(b, q.Close())
	}
	d := distOf(took)
	metric(b, d.at(0.5).Seconds(), strings.ReplaceAll(name, " ", "-"), "s")
	return []string{name, millis(d.at(0.5)), millis(d.at(1)), fmt.Sprintf("%d MiB", fileSize(b, path)>>20)}
}

func fileSize(b *testing.B, path string) int64 {
	b.Helper()
	info, err := os.Stat(path)
	must(b, err)
	return info.Size()
}

// copyOf copies a file beside itself.
func copyOf(b *testing.B, path, name string) string {
	b.Helper()
	to := filepath.Join(filepath.Dir(path), name)
	src, err := os.Open(path)
	must(b, err)
	defer src.Close()
	dst, err := os.Create(to)
	must(b, err)
	_, err = io.Copy(dst, src)
	must(b, errors.Join(err, dst.Sync(), dst.Close()))
	return to
}

// dropCache makes the next reads of the file come from the disk.
func dropCache(b *testing.B, path string) {
	b.Helper()
	f, err := os.Open(path)
	must(b, err)
	defer f.Close()
	must(b, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}
