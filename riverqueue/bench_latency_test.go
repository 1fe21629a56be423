package riverqueue_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// percentile of sorted times in milliseconds.
func percentile(of []time.Duration, p int) float64 {
	return float64(of[min(len(of)-1, len(of)*p/100)].Microseconds()) / 1000
}

// BenchmarkLatency is how long an event takes from the commit of its transaction to its delivery where nothing waits, and
// how long an event of one customer takes where many of the customer wait. Run it with -benchtime=1x.
func BenchmarkLatency(b *testing.B) {
	for range b.N {
		x := newBench(b)
		var mu sync.Mutex
		at := map[string]time.Time{}
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() {
			ran <- x.q.Run(ctx, 16, tracked(func(_ context.Context, m fprom.Message) error {
				mu.Lock()
				defer mu.Unlock()
				at[m.Key] = time.Now()
				return nil
			}))
		}()
		time.Sleep(time.Second)
		committed := map[string]time.Time{}
		for i := range 300 {
			id := fmt.Sprint("one", i)
			if err := pgx.BeginFunc(ctx, x.pool, func(tx pgx.Tx) error {
				return x.q.EnqueueTx(ctx, tx, sale(id, id, 100))
			}); err != nil {
				b.Fatal(err)
			}
			committed["sale:"+id] = time.Now()
			time.Sleep(30 * time.Millisecond)
		}
		if err := x.q.Flush(ctx); err != nil {
			b.Fatal(err)
		}
		var took []time.Duration
		for key, t := range committed {
			took = append(took, at[key].Sub(t))
		}
		slices.Sort(took)
		for _, p := range []int{50, 90, 99} {
			b.ReportMetric(percentile(took, p), fmt.Sprintf("p%d-ms", p))
		}
		var ms []fprom.Message
		for i := range 200 {
			m, err := fprom.NewMessage(sale(fmt.Sprint("lane", i), "ann", 100))
			if err != nil {
				b.Fatal(err)
			}
			ms = append(ms, m)
		}
		begun := time.Now()
		if err := x.q.Put(ctx, ms...); err != nil {
			b.Fatal(err)
		}
		if err := x.q.Flush(ctx); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(begun).Milliseconds())/float64(len(ms)), "lane-ms")
		cancel()
		if err := <-ran; err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkBulk is the age of live events at delivery, 300 a minute under the account's limit of 400, without bulk events
// and with 100,000 that wait. Two accounts get their events in turns, so that what else the machine does is the same for
// both. Run it with -benchtime=1x.
func BenchmarkBulk(b *testing.B) {
	waiting, live := 100_000, 250
	if testing.Short() {
		waiting, live = 1000, 20
	}
	for range b.N {
		var queues [2]*riverqueue.Queue
		for i := range queues {
			queues[i], _ = open(b, riverqueue.Config{Schema: newSchema(b)})
		}
		putBulk(b, queues[1], waiting)
		ages := liveAges(b, queues, live)
		for i, n := range []int{0, waiting} {
			for _, p := range []int{50, 99} {
				b.ReportMetric(percentile(ages[i], p), fmt.Sprintf("p%d-ms-beside-%d", p, n))
			}
		}
	}
}

// liveAges puts n live events into each queue, in turns.
func liveAges(b *testing.B, queues [2]*riverqueue.Queue, n int) (sorted [2][]time.Duration) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var ages [2]chan time.Duration
	var wg sync.WaitGroup
	for i, q := range queues {
		ages[i] = make(chan time.Duration, n)
		wg.Go(func() {
			if err := q.Run(ctx, 64, tracked(func(ctx context.Context, m fprom.Message) error {
				if err := q.Admit(ctx, 400); err != nil {
					return err
				}
				if !m.Bulk {
					ages[i] <- time.Since(m.RecordedAt)
				}
				return nil
			})); err != nil {
				b.Error(err)
			}
		})
	}
	time.Sleep(3 * time.Second)
	for i := range 2 * n {
		id := fmt.Sprint("live", i)
		if err := queues[i%2].Put(ctx, message(b, sale(id, id, 100))); err != nil {
			b.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for i := range queues {
		for range n {
			sorted[i] = append(sorted[i], <-ages[i])
		}
		slices.Sort(sorted[i])
	}
	cancel()
	wg.Wait()
	return sorted
}
