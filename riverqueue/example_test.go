package riverqueue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
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

	bound, cancel := context.WithTimeout(ctx, 2*time.Minute)
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

// A buyer's browser sends the order: the cookie of FirstPromoter's script says who brought the buyer.
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

	pay := func(r *http.Request, order string, amount int64) error {
		sale := fprom.Sale{EventID: order, Email: "jane@example.com", Amount: amount, Currency: "usd"}
		fprom.AttributionFrom(r).Apply(&sale) // no middleware does it here
		return pgx.BeginFunc(r.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO example_tx.orders VALUES ($1, true) ON CONFLICT DO NOTHING`, order); err != nil {
				return err
			}
			err := queue.EnqueueTx(ctx, tx, sale)
			if errors.Is(err, fprom.ErrConflict) {
				fmt.Println("another amount under the same id: look into it")
				return nil // the transaction is sound
			}
			return err
		})
	}
	r := httptest.NewRequest(http.MethodPost, "/pay", nil)
	r.AddCookie(&http.Cookie{Name: "_fprom_tid", Value: "0f2a7c3e"})
	fmt.Println(pay(r, "order_1", 4900)) // paid
	fmt.Println(pay(r, "order_1", 4900)) // sent once more
	fmt.Println(pay(r, "order_1", 9900))
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

// With database/sql, and with what builds on it. With sqlx and bun give it tx.Tx, with GORM tx.Statement.ConnPool.(*sql.Tx).
func ExampleQueue_EnqueueSQLTx() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	queue, err := riverqueue.New(pool, riverqueue.Config{Schema: "example_sql"})
	if err != nil {
		log.Fatal(err)
	}
	if err := queue.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	defer pool.Exec(ctx, `DROP SCHEMA example_sql CASCADE`)

	db, err := sql.Open("pgx", database) // the application's own
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `CREATE TABLE example_sql.orders (id text PRIMARY KEY)`); err != nil {
		log.Fatal(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `INSERT INTO example_sql.orders VALUES ($1)`, "order_1"); err != nil {
		log.Fatal(err)
	}
	sale := fprom.Sale{EventID: "order_1", Email: "jane@example.com", Amount: 4900, Currency: "usd"}
	if err := queue.EnqueueSQLTx(ctx, tx, sale); err != nil {
		log.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		log.Fatal(err)
	}
	stats, err := queue.Stats(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Pending, "sale to deliver")
	// Output: 1 sale to deliver
}

// sharedTracker is in docs/replicas.md.
func sharedTracker(ctx context.Context, databaseURL string) (*fprom.Tracker, error) {
	pool, err := pgxpool.New(ctx, databaseURL) // best a pool that only the queue uses
	if err != nil {
		return nil, err
	}
	queue, err := riverqueue.New(pool, riverqueue.Config{})
	if err != nil {
		return nil, err
	}
	if err := queue.Migrate(ctx); err != nil { // makes the tables, where they are missing
		return nil, err
	}
	return fprom.New(fprom.Config{Queue: queue})
}

var _ = sharedTracker
