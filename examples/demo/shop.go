package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/nethttpadapter"
)

// The configuration of the shop. The credentials are in FIRSTPROMOTER_API_KEY and FIRSTPROMOTER_ACCOUNT_ID.
const (
	envOutbox = "DEMO_OUTBOX"
	envSecret = "STRIPE_WEBHOOK_SECRET"
)

// shopMain is the main function of the shop's process. It prints its URL and shuts down when stdin ends, which also happens if the
// demo dies.
func shopMain(outbox string) int {
	signal.Ignore(os.Interrupt) // on Ctrl-C the demo ends the shop
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := serveShop(ctx, outbox, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		return 1
	}
	return 0
}

func serveShop(ctx context.Context, outbox string, stdout io.Writer) error {
	queue, err := boltqueue.Open(outbox)
	if err != nil {
		return err
	}
	defer queue.Close() // the Tracker closes it too, unless New fails
	tracker, err := fprom.New(fprom.Config{
		Queue:             queue,
		RequestsPerMinute: perMinute,
		Burst:             atOnce,
		// The rest is faster than the defaults, so that an outage can be shown in seconds.
		Timeout: 2 * time.Second,
		Breaker: fprom.BreakerConfig{OpenFor: time.Second},
		Retry:   fprom.RetryConfig{Base: 100 * time.Millisecond, Max: time.Second},
	})
	if err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: shopHandler(tracker), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	fmt.Fprintf(stdout, "http://%s\n", ln.Addr())
	select {
	case err = <-served:
	case <-ctx.Done():
	}

	// The handlers end first, since they still record sales, and the Tracker after them.
	end, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(end), tracker.Shutdown(end))
}

func shopHandler(tracker *fprom.Tracker) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /checkout", checkout)
	mux.HandleFunc("POST /refund", refund)
	// The webhook's handler knows the billing provider's payloads, and needs no Record.
	mux.Handle("POST /webhooks/stripe", stripe.Handler(tracker, os.Getenv(envSecret)))

	// Repeating an order does no harm here, since the buyer chose its id. So the shop may answer 503 when it cannot
	// store the sale, say because the disk is full, and the buyer tries again.
	return nethttpadapter.Middleware(tracker, fprom.WithFailClosed())(mux)
}

// order is what a buyer sends. The amounts are in cents.
type order struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Price int64  `json:"price"` // before tax
	Tax   int64  `json:"tax"`
	Card  string `json:"card,omitempty"`
}

func checkout(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if o.Card == "declined" {
		http.Error(w, "the card was declined", http.StatusPaymentRequired)
		return
	}
	err := fprom.Record(r.Context(), fprom.Sale{
		EventID:  o.ID, // one order is one payment here
		Email:    o.Email,
		Amount:   o.Price, // before tax
		Currency: "USD",
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if o.Card == "crash" {
		panic("the receipt cannot be printed: the order is rolled back")
	}
	fmt.Fprintf(w, "thank you: %d.%02d USD\n", (o.Price+o.Tax)/100, (o.Price+o.Tax)%100)
}

func refund(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err := fprom.Record(r.Context(), fprom.Refund{
		EventID:     "refund-of-" + o.ID, // the refund's own id
		SaleEventID: o.ID,
		Email:       o.Email,
		Amount:      o.Price, // before tax, as in the sale
		Currency:    "USD",
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "the money is on its way back")
}
