package boltqueue_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fprom-go/fprom/boltqueue"
)

// BenchmarkPut is one durable put; with several producers, puts share commits.
func BenchmarkPut(b *testing.B) {
	for _, producers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint("producers=", producers), func(b *testing.B) {
			q, err := boltqueue.Open(filepath.Join(b.TempDir(), "fprom.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = q.Close() }()
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range producers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						put(b, q, sale(b, i, 4900))
					}
				})
			}
			wg.Wait()
		})
	}
}
