package riverqueue_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// playRole is the main function of a process that a test starts from its own binary.
func playRole(role string) int {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)).With("pid", os.Getpid()))
	pool, err := pgxpool.New(context.Background(), os.Getenv("FPROM_TEST_DATABASE"))
	if err == nil {
		defer pool.Close()
		switch role {
		case "replica":
			err = replicaMain(pool)
		case "die before commit", "die after commit":
			err = dieMain(pool, role == "die after commit")
		default:
			err = fmt.Errorf("no role %q", role)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// dieMain marks an order as paid and ends by SIGKILL before or right after the commit.
func dieMain(pool *pgxpool.Pool, commit bool) error {
	ctx := context.Background()
	q, err := riverqueue.New(pool, riverqueue.Config{Schema: os.Getenv("FPROM_TEST_SCHEMA")})
	if err != nil {
		return err
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	if err := q.EnqueueTx(ctx, tx, fprom.Sale{EventID: os.Getenv("FPROM_TEST_EVENT"), Email: "ann@example.com", Amount: 100}); err != nil {
		return err
	}
	if commit {
		if err := tx.Commit(ctx); err != nil {
			return err
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return self.Kill()
}

// replicaMain is one replica of a shop: it takes the provider's webhooks and delivers sales.
func replicaMain(pool *pgxpool.Pool) error {
	limit, err := strconv.Atoi(os.Getenv("FPROM_TEST_LIMIT"))
	if err != nil {
		return err
	}
	q, err := riverqueue.New(pool, riverqueue.Config{
		Schema: os.Getenv("FPROM_TEST_SCHEMA"), Rescue: 6 * time.Second,
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for q.Migrate(ctx) != nil && ctx.Err() == nil { // PostgreSQL may be restarting
		time.Sleep(200 * time.Millisecond)
	}
	// The key and the base URL come by FIRSTPROMOTER_… from the environment.
	tracker, err := fprom.New(fprom.Config{
		Queue: q, RequestsPerMinute: limit, Workers: 8, Timeout: 5 * time.Second,
		Retry: fprom.RetryConfig{Base: 200 * time.Millisecond, Max: time.Second},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhook", func(w http.ResponseWriter, r *http.Request) {
		if err := takeWebhook(r, pool, q, tracker); err != nil {
			slog.Info("webhook refused", "error", err)
			http.Error(w, "again, please", http.StatusServiceUnavailable)
		}
	})
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", os.Getenv("FPROM_TEST_LISTEN"))
	for err != nil && ctx.Err() == nil { // a connection may have got this port while no replica had it
		time.Sleep(200 * time.Millisecond)
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", os.Getenv("FPROM_TEST_LISTEN"))
	}
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go srv.Serve(l)
	<-ctx.Done()
	bound, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = srv.Shutdown(bound)
	return tracker.Shutdown(bound)
}

// takeWebhook marks the order as paid and stores its sale: in one transaction, or one after the other.
func takeWebhook(r *http.Request, pool *pgxpool.Pool, q *riverqueue.Queue, tracker *fprom.Tracker) error {
	amount, err := strconv.ParseInt(r.FormValue("amount"), 10, 64)
	if err != nil {
		return err
	}
	sale := fprom.Sale{EventID: r.FormValue("id"), Email: r.FormValue("email"), Amount: amount, Currency: "usd"}
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	const pay = `INSERT INTO shop_order (id) VALUES ($1) ON CONFLICT DO NOTHING`
	if r.FormValue("tx") == "" {
		if _, err := pool.Exec(ctx, pay, sale.EventID); err != nil {
			return err
		}
		return tracker.Enqueue(ctx, sale)
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, pay, sale.EventID); err != nil {
			return err
		}
		return q.EnqueueTx(ctx, tx, sale)
	})
}
