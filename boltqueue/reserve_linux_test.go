package boltqueue_test

import (
	"context"
	"fmt"
	"path/filepath"
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
