package boltqueue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
)

// TestReserveSuffices: the outcomes of what waits take nothing more of the disk than the file has once it is open.
func TestReserveSuffices(t *testing.T) {
	t.Parallel()
	ids := []string{"an-event-id-that-is-much-longer-than-those-of-the-providers-%04d", "ch_3MmlLrLkdIwHu7ix0snN%04d", "ch_%d"}
	if testing.Short() {
		ids = ids[:1]
	}
	for _, id := range ids {
		dir := t.TempDir()
		path := filepath.Join(dir, "fprom.db")
		taken := func() int64 {
			var info syscall.Stat_t
			if err := syscall.Stat(path, &info); err != nil {
				t.Fatal(err)
			}
			return info.Blocks * 512
		}
		q := open(t, dir)
		for batch := range 40 {
			var ms []fprom.Message
			for i := range 100 {
				m, err := fprom.NewMessage(fprom.Sale{EventID: fmt.Sprintf(id, 100*batch+i), UID: "u", Amount: 100})
				if err != nil {
					t.Fatal(err)
				}
				m.Bulk = strings.HasPrefix(id, "an-event")
				ms = append(ms, m)
			}
			put(t, q, ms...)
		}
		closeQueue(t, q)
		if err := boltqueue.Compact(path); err != nil {
			t.Fatal(err)
		}
		q = open(t, dir)
		before := taken()
		commission := fprom.Commission{ID: 123_456_789}
		ctx, cancel := context.WithCancel(t.Context())
		var delivered atomic.Int64
		err := q.Run(ctx, 64, func(context.Context, fprom.Message) (fprom.Result, error) {
			if delivered.Add(1) == 4000 {
				cancel()
			}
			return fprom.Result{Outcome: fprom.Tracked, StatusCode: 200, ID: 123_456_789, Commissions: []fprom.Commission{commission}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if grown := taken() - before; grown > 0 || stats(t, q).Ledger < 4000 {
			t.Errorf("%s: 4,000 outcomes took %d bytes more than the %d that the file had", id, grown, before)
		}
	}
}

// TestMemoryOfFile: what was read of the file does not stay in the memory of the process.
func TestMemoryOfFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mapped := func() (kib int) {
		file, err := os.ReadFile("/proc/self/smaps")
		if err != nil {
			t.Fatal(err)
		}
		_, mapping, _ := strings.Cut(string(file), dir)
		_, rss, found := strings.Cut(mapping, "Rss:")
		if _, err := fmt.Sscan(rss, &kib); err != nil || !found {
			t.Fatalf("the file is not in memory: %v", err)
		}
		return kib
	}
	q := open(t, dir)
	for batch := range 20 {
		var ms []fprom.Message
		for i := range 100 {
			m := sale(t, 100*batch+i, 100)
			m.Customer = strings.Repeat("x", 4000)
			ms = append(ms, m)
		}
		put(t, q, ms...)
	}
	closeQueue(t, q)
	q = open(t, dir)
	if kib := mapped(); kib > 1024 {
		t.Errorf("Open leaves %d KiB in memory", kib)
	}
	if n := len(entries(t, q, fprom.Filter{})); n != 2000 {
		t.Errorf("%d entries, want 2000", n)
	}
	for i := range 16 {
		put(t, q, sale(t, fmt.Sprint("new", i), 100))
	}
	if kib := mapped(); kib > 1024 {
		t.Errorf("%d KiB are in memory after some commits", kib)
	}
}
