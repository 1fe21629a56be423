package riverqueue_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// bareArgs are the bytes of an event as a River job without anything of this package.
type bareArgs struct {
	Key        string    `json:"key"`
	EventKind  string    `json:"kind"`
	Customer   string    `json:"customer"`
	RecordedAt time.Time `json:"recorded_at"`
	Body       string    `json:"body"`
}

func (bareArgs) Kind() string { return "bare_event" }

// bench is a migrated schema with a queue, a bare River client and a table of orders.
type bench struct {
	tb    testing.TB
	q     *riverqueue.Queue
	pool  *pgxpool.Pool
	bare  *river.Client[pgx.Tx]
	order string // inserts an order
	n     atomic.Int64
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	cfg := riverqueue.Config{Schema: newSchema(tb)}
	q, pool := open(tb, cfg)
	bare, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: cfg.Schema})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := pool.Exec(context.Background(), `CREATE TABLE `+cfg.Schema+`.shop_order (id text PRIMARY KEY)`); err != nil {
		tb.Fatal(err)
	}
	return &bench{tb: tb, q: q, pool: pool, bare: bare, order: `INSERT INTO ` + cfg.Schema + `.shop_order (id) VALUES ($1)`}
}

func (b *bench) sale() fprom.Sale {
	n := strconv.FormatInt(b.n.Add(1), 10)
	return fprom.Sale{EventID: "ch_3PqXyzAbCdEf" + n, Email: "buyer" + n + "@example.com", Amount: 4900, Currency: "usd", Plan: "pro-monthly", TID: "0f2a7c3e-8d4b-4f6a-9c1d-2e3b4a5c6d7e"}
}

func (b *bench) bareOf(s fprom.Sale) bareArgs {
	m, err := fprom.NewMessage(s)
	if err != nil {
		b.tb.Error(err)
	}
	return bareArgs{Key: m.Key, EventKind: m.Kind, Customer: m.Customer, RecordedAt: m.RecordedAt, Body: string(m.Body)}
}

var bareOpts = &river.InsertOpts{Queue: "bare"}

// The four ways to store an event, each one durable when it returns.
func (b *bench) bareAlone(ctx context.Context) error {
	_, err := b.bare.Insert(ctx, b.bareOf(b.sale()), bareOpts)
	return err
}

func (b *bench) put(ctx context.Context) error {
	m, err := fprom.NewMessage(b.sale())
	if err != nil {
		return err
	}
	return b.q.Put(ctx, m)
}

func (b *bench) bareTx(ctx context.Context) error {
	s := b.sale()
	return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, b.order, s.EventID); err != nil {
			return err
		}
		_, err := b.bare.InsertTx(ctx, tx, b.bareOf(s), bareOpts)
		return err
	})
}

func (b *bench) enqueueTx(ctx context.Context) error {
	s := b.sale()
	return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, b.order, s.EventID); err != nil {
			return err
		}
		return b.q.EnqueueTx(ctx, tx, s)
	})
}

// rate is how many times a second fn runs on n goroutines.
func (b *bench) rate(n int, d time.Duration, fn func(context.Context) error) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var done atomic.Int64
	var wg sync.WaitGroup
	begun := time.Now()
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := fn(context.WithoutCancel(ctx)); err != nil {
					b.tb.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(begun).Seconds()
}

// BenchmarkEnqueue compares Put and EnqueueTx with what River alone takes for the same bytes, in turns, and reports
// medians. Run it with -benchtime=1x.
func BenchmarkEnqueue(b *testing.B) {
	const rounds, turn = 25, 250 * time.Millisecond
	for range b.N {
		for _, goroutines := range []int{1, 8} {
			x := newBench(b)
			ways := []struct {
				name string
				fn   func(context.Context) error
			}{{"bare", x.bareAlone}, {"put", x.put}, {"bare-tx", x.bareTx}, {"enqueue-tx", x.enqueueTx}}
			rates := map[string][]float64{}
			for i := range rounds + 1 {
				for _, w := range ways {
					if r := x.rate(goroutines, turn, w.fn); i > 0 { // the first is to warm up
						rates[w.name] = append(rates[w.name], r)
					}
				}
			}
			for _, w := range ways {
				b.ReportMetric(median(rates[w.name]), fmt.Sprintf("%s-%d/s", w.name, goroutines))
			}
			b.ReportMetric(percent(rates["put"], rates["bare"]), fmt.Sprintf("%%put-%d", goroutines))
			b.ReportMetric(percent(rates["enqueue-tx"], rates["bare-tx"]), fmt.Sprintf("%%tx-%d", goroutines))
		}
	}
}

// percent is the median of the turns' ratios: neighbours in time share what else the machine does.
func percent(of, base []float64) float64 {
	ratios := make([]float64, len(of))
	for i := range of {
		ratios[i] = 100 * of[i] / base[i]
	}
	return median(ratios)
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
