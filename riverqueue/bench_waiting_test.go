package riverqueue_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// BenchmarkDeliver is how many events a second 1, 2 and 3 replicas deliver, each with 16 workers, to a FirstPromoter that answers
// at once, with pacing lifted. FPROM_BENCH_WAITING puts so many waiting events before them first. Run it with -benchtime=1x.
func BenchmarkDeliver(b *testing.B) {
	waiting := 0
	if s := os.Getenv("FPROM_BENCH_WAITING"); s != "" {
		var err error
		if waiting, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		for replicas := 1; replicas <= 3; replicas++ {
			b.ReportMetric(deliverRate(b, replicas, waiting), fmt.Sprintf("events-%d/s", replicas))
		}
	}
}

func deliverRate(b *testing.B, replicas, waiting int) float64 {
	b.Helper()
	const measured = 8 * time.Second
	cfg := riverqueue.Config{Schema: newSchema(b)}
	first, pool := open(b, cfg)
	fill(b, first, pool, cfg.Schema, max(waiting, 50_000))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var done atomic.Int64
	for range replicas {
		q, _ := open(b, cfg)
		wg.Go(func() {
			err := q.Run(ctx, 16, tracked(func(ctx context.Context, _ fprom.Message) error {
				if err := q.Admit(ctx, 1_000_000_000); err != nil {
					return err
				}
				done.Add(1)
				return nil
			}))
			if err != nil {
				b.Error(err)
			}
		})
	}
	time.Sleep(2 * time.Second)
	before, begun := done.Load(), time.Now()
	time.Sleep(measured)
	rate := float64(done.Load()-before) / time.Since(begun).Seconds()
	cancel()
	wg.Wait()
	return rate
}

// fill stores n events, one in five of them the second of its customer.
func fill(b *testing.B, q *riverqueue.Queue, pool *pgxpool.Pool, schema string, n int) {
	b.Helper()
	const batch = 5000
	begun := time.Now()
	for from := 0; from < n; from += batch {
		ms := make([]fprom.Message, 0, batch)
		for i := from; i < min(n, from+batch); i++ {
			m, err := fprom.NewMessage(fprom.Sale{EventID: "ch_3PqXyzAbCdEf" + strconv.Itoa(i), Email: fmt.Sprintf("buyer%d@example.com", i-i%5/4), Amount: 4900, Currency: "usd", Plan: "pro-monthly"})
			if err != nil {
				b.Fatal(err)
			}
			ms = append(ms, m)
		}
		if err := q.Put(context.Background(), ms...); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%d events stored in %v", n, time.Since(begun))
	if _, err := pool.Exec(context.Background(), `VACUUM ANALYZE `+schema+`.fprom_ledger, `+schema+`.river_job`); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkWaiting is what an event costs while a million (FPROM_BENCH_WAITING) wait: to store, to deliver, to look at
// the queue, and on disk. Run it with -benchtime=1x.
func BenchmarkWaiting(b *testing.B) {
	waiting := 1_000_000
	if s := os.Getenv("FPROM_BENCH_WAITING"); s != "" {
		var err error
		if waiting, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		x := newBench(b)
		ctx := context.Background()
		x.rate(1, 3*time.Second, x.put) // to warm up
		empty := x.rate(1, 3*time.Second, x.put)
		fill(b, x.q, x.pool, schemaOf(x), waiting)
		full := x.rate(1, 3*time.Second, x.put)
		begun := time.Now()
		s, err := x.q.Stats(ctx)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(begun).Microseconds()), "stats-µs")
		b.ReportMetric(float64(s.Pending), "pending")
		b.ReportMetric(empty, "put-empty/s")
		b.ReportMetric(full, "put-full/s")
		bytes := countRows(b, x.pool, `SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relname IN ('fprom_ledger', 'river_job') AND relnamespace = $1::regnamespace`, schemaOf(x))
		b.ReportMetric(float64(bytes)/float64(s.Pending), "B/event")
		run, cancel := context.WithCancel(ctx)
		var done atomic.Int64
		ran := make(chan error, 1)
		go func() {
			ran <- x.q.Run(run, 16, tracked(func(context.Context, fprom.Message) error { done.Add(1); return nil }))
		}()
		time.Sleep(3 * time.Second)
		before, begun := done.Load(), time.Now()
		time.Sleep(10 * time.Second)
		b.ReportMetric(float64(done.Load()-before)/time.Since(begun).Seconds(), "deliver/s")
		cancel()
		if err := <-ran; err != nil {
			b.Error(err)
		}
	}
}

func schemaOf(b *bench) string {
	return b.order[len("INSERT INTO ") : len(b.order)-len(".shop_order (id) VALUES ($1)")]
}
