//go:build linux

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
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
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
	workersOf.Store(q, workers)
	var hanging atomic.Int64
	ran := make(chan error, 1)
	go func() {
		ran <- runQueue(ctx, q, func(ctx context.Context, _ fprom.Message) error {
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
