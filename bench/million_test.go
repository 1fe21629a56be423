package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"golang.org/x/sys/unix"
)

// childEnv makes the test binary the process that BenchmarkOutboxMillion looks at: a JSON childTask.
const childEnv = "FPROM_BENCH_CHILD"

func TestMain(m *testing.M) {
	if task := os.Getenv(childEnv); task != "" {
		if err := child(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	_ = flag.Set("test.benchtime", "1x") // each benchmark makes rounds of its own
	os.Exit(m.Run())
}

// childTask: open the outbox, put and deliver so many, then wait for a word with a delivery that hangs in each worker.
type childTask struct {
	Path         string
	Put, Deliver int
	First        uint64 // number of the first event put
}

// childReport is what the process is like while it waits. Sizes in bytes.
type childReport struct {
	Pending          int
	HeapBefore, Heap uint64 // in use after a collection: before the outbox was opened, and now
	Before, Now      resident
	Peak             int64 // resident, the file's pages included
}

// resident is what of the process is in memory: its own, and pages of files, which the system takes back when it needs them.
type resident struct{ Own, File int64 }

func child(task string) error {
	var t childTask
	if err := json.Unmarshal([]byte(task), &t); err != nil {
		return err
	}
	r := childReport{HeapBefore: heapInUse(), Before: residentNow()}
	q, err := boltqueue.Open(t.Path)
	if err != nil {
		return err
	}
	ids := newSales()
	ids.last.Store(t.First)
	if err := fill(q, ids, t.Put); err != nil {
		return err
	}
	if t.Deliver > 0 {
		if err := drain(q, t.Deliver, 64); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	const workers = 64
	q.SetWorkers(workers)
	var hanging atomic.Int64
	ran := make(chan error, 1)
	go func() {
		ran <- q.Run(ctx, func(ctx context.Context, _ fprom.Message) error {
			hanging.Add(1)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	for hanging.Load() < workers {
		time.Sleep(time.Millisecond)
	}
	stats, _ := q.Stats(ctx)
	r.Pending, r.Heap, r.Now, r.Peak = stats.Pending, heapInUse(), residentNow(), statusField("VmHWM")
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it, or kills
	stop()
	return errors.Join(<-ran, q.Close())
}

func heapInUse() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func residentNow() resident { return resident{statusField("RssAnon"), statusField("RssFile")} }

// statusField reads a size from /proc/self/status; 0 if the system has none.
func statusField(name string) int64 {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// startChild runs a child until it has reported. end lets it close the outbox, or kills it.
func startChild(b *testing.B, t childTask) (r childReport, end func(kill bool)) {
	b.Helper()
	task, err := json.Marshal(t)
	must(b, err)
	cmd := exec.CommandContext(context.Background(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(task))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		b.Fatalf("child: %v; %s", err, stderr.String())
	}
	return r, func(kill bool) {
		b.Helper()
		if kill {
			must(b, cmd.Process.Kill())
			_ = cmd.Wait()
			return
		}
		must(b, in.Close())
		if err := cmd.Wait(); err != nil {
			b.Fatalf("child: %v; %s", err, stderr.String())
		}
	}
}

// BenchmarkOutboxMillion: what it costs that 1,000,000 events wait. Goals: reopened in under 2 s, also after a crash; less
// than 64 MiB of memory. It states the bytes on disk of a waiting event and of a remembered id.
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
