package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// shop is one replica of the billing service. Its methods newTracker and paid use riverqueue.
type shop struct {
	pool   *pgxpool.Pool
	queue  *riverqueue.Queue
	schema string
}

// newTracker starts a Tracker. It delivers events that any replica has stored.
func (s *shop) newTracker(ctx context.Context) (*fprom.Tracker, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	var err error
	s.queue, err = riverqueue.New(s.pool, riverqueue.Config{
		Schema: s.schema,
		Rescue: 9 * time.Second, // keep the default of 3 min in production; here it would take too long
		Logger: log,
	})
	if err != nil {
		return nil, err
	}
	if err := s.queue.Migrate(ctx); err != nil { // several replicas may do this at once
		return nil, err
	}
	return fprom.New(fprom.Config{Queue: s.queue, Logger: log}) // key and URL: $FIRSTPROMOTER_…
}

// paid marks the order as paid and stores its sale: both or neither.
func (s *shop) paid(ctx context.Context, sale fprom.Sale) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO `+s.schema+`.shop_order (id) VALUES ($1) ON CONFLICT DO NOTHING`, sale.EventID); err != nil {
			return err
		}
		return s.queue.EnqueueTx(ctx, tx, sale)
	})
}

// webhook is the webhook of the payment provider for a paid order. The provider repeats it until it gets a 200, and sometimes sends it
// twice at once.
func (s *shop) webhook(w http.ResponseWriter, r *http.Request) {
	amount, err := strconv.ParseInt(r.FormValue("amount"), 10, 64)
	if err != nil {
		http.Error(w, "no amount", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	sale := fprom.Sale{EventID: r.FormValue("order"), Email: r.FormValue("email"), Amount: amount, Currency: "usd"}
	// EnqueueTx bypasses the middleware, so set the attribution here. A webhook has no cookies: at checkout the shop has put
	// fprom.AttributionFrom(r).Metadata() into the payment, and the provider sends it back.
	fprom.Attribution{TID: r.FormValue("fp_tid")}.Apply(&sale)
	if err := s.paid(ctx, sale); err != nil {
		http.Error(w, "send it again", http.StatusServiceUnavailable)
	}
}

// shopMain is the main function of a replica. It writes its address to out and ends when in ends.
func shopMain(in io.Reader, out io.Writer) error {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	s := &shop{pool: pool, schema: os.Getenv("SHOP_SCHEMA")}
	tracker, err := s.newTracker(ctx)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhook", s.webhook)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(l) }() // until Shutdown
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, in) // until the parent closes it or ends
	bound, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_ = srv.Shutdown(bound)
	return tracker.Shutdown(bound)
}
