package riverqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/riverqueue"
)

func Example() {
	ctx := context.Background()
	fake := fpromtest.Start(fpromtest.WithAllLeads())
	defer fake.Close()
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	queue, err := riverqueue.New(pool, riverqueue.Config{Schema: "example_billing"})
	if err != nil {
		log.Fatal(err)
	}
	if err := queue.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	defer pool.Exec(ctx, `DROP SCHEMA example_billing CASCADE`)
	cfg := fake.Config() // for real: fprom.Config{}, with the key in $FIRSTPROMOTER_API_KEY
	cfg.Queue = queue
	tracker, err := fprom.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	if err := tracker.Enqueue(ctx, fprom.Sale{EventID: "ch_1", Email: "jane@example.com", Amount: 4900, Currency: "usd"}); err != nil {
		log.Fatal(err)
	}

	bound, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := tracker.Flush(bound); err != nil { // only to see the commission: Shutdown leaves the rest to the other replicas
		log.Fatal(err)
	}
	if err := tracker.Shutdown(bound); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(fake.Commissions()), "commission")
	// Output: 1 commission
}

func ExampleQueue_EnqueueTx() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	queue, err := riverqueue.New(pool, riverqueue.Config{Schema: "example_tx"})
	if err != nil {
		log.Fatal(err)
	}
	if err := queue.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	defer pool.Exec(ctx, `DROP SCHEMA example_tx CASCADE`)
	if _, err := pool.Exec(ctx, `CREATE TABLE example_tx.orders (id text PRIMARY KEY, paid boolean NOT NULL)`); err != nil {
		log.Fatal(err)
	}

	pay := func(order string, amount int64) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO example_tx.orders VALUES ($1, true) ON CONFLICT DO NOTHING`, order); err != nil {
				return err
			}
			err := queue.EnqueueTx(ctx, tx, fprom.Sale{EventID: order, Email: "jane@example.com", Amount: amount, Currency: "usd"})
			if errors.Is(err, fprom.ErrConflict) {
				fmt.Println("another amount under the same id: look into it")
				return nil // the transaction is sound
			}
			return err
		})
	}
	fmt.Println(pay("order_1", 4900)) // paid
	fmt.Println(pay("order_1", 4900)) // the provider's webhook once more
	fmt.Println(pay("order_1", 9900))
	stats, err := queue.Stats(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Pending, "sale to deliver")
	// Output:
	// <nil>
	// <nil>
	// another amount under the same id: look into it
	// <nil>
	// 1 sale to deliver
}
