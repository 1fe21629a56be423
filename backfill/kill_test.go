package backfill_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/boltqueue"
)

const (
	childEnv = "FPROM_BACKFILL_CHILD"
	stopEnv  = "FPROM_BACKFILL_STOP" // set: the child stops after the first batch
)

// TestMain makes the test binary a backfill that a test can kill.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if _, err := fill(context.Background(), dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fill brings the file of a directory into its outbox.
func fill(ctx context.Context, dir string) (r backfill.Result, err error) {
	q, err := boltqueue.Open(filepath.Join(dir, "fprom.db"))
	if err != nil {
		return r, err
	}
	defer func() {
		if cerr := q.Close(); err == nil {
			err = cerr
		}
	}()
	f, err := os.Open(filepath.Join(dir, "sales.csv"))
	if err != nil {
		return r, err
	}
	defer f.Close()
	return backfill.Run(ctx, f, backfill.Options{Format: backfill.Format{Amount: backfill.Minor}, Outbox: q, Progress: func(backfill.Progress) {
		if os.Getenv(childEnv) != "" { // be killed
			fmt.Println("a batch is stored")
			if os.Getenv(stopEnv) != "" {
				select {}
			}
			time.Sleep(20 * time.Millisecond)
		}
	}})
}

// Killed at any moment and run again, a backfill has every row in the outbox once.
func TestKilledAndRunAgain(t *testing.T) {
	t.Parallel()
	rows, kills := 12_000, 8
	if testing.Short() {
		rows, kills = 4000, 3
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sales.csv"), []byte(sales(rows)), 0o600); err != nil {
		t.Fatal(err)
	}
	killed := 0
	for i := range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		if i == 0 { // so that one is killed on the way, however slow this process is
			cmd.Env = append(cmd.Env, stopEnv+"=1")
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // in the middle; else sometimes while it opens the outbox
			_, _ = out.Read(make([]byte, 1))
		}
		time.Sleep(rand.N(40 * time.Millisecond))
		_ = cmd.Process.Kill() // one that has ended is none that was killed
		if err := cmd.Wait(); err != nil {
			killed++
		}
	}
	got, err := fill(t.Context(), dir)
	if err != nil || got.Rows != rows || got.Queued+got.Known != rows || killed == 0 {
		t.Errorf("%+v %v after %d kills", got, err, killed)
	}
	q, err := boltqueue.Open(filepath.Join(dir, "fprom.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	seen := map[string]bool{}
	for e, err := range q.Entries(t.Context(), fprom.Filter{}) {
		if err != nil || seen[e.Key] || !e.Bulk || e.State != fprom.StateWaiting {
			t.Fatalf("%+v %v, seen %v", e, err, seen[e.Key])
		}
		seen[e.Key] = true
	}
	if len(seen) != rows {
		t.Errorf("%d rows in the outbox, want %d", len(seen), rows)
	}
	t.Logf("%d of %d runs were killed on the way; then %d queued, %d known", killed, kills, got.Queued, got.Known)
}
