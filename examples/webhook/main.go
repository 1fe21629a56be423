// Command webhook is a small shop that sells through Stripe's payment page and reports the sales of Stripe's webhooks to FirstPromoter:
//
//	go run ./examples/webhook -send   # buy, pay, deliver webhooks (also twice and forged), and show what arrived
//	go run ./examples/webhook         # serve, and print what to try with curl
//
// stripe.go imitates Stripe: a payment page that takes every card, and webhooks with a right signature. The endpoint
// /webhooks/stripe also takes webhooks of the real Stripe, if STRIPE_WEBHOOK_SECRET is the endpoint's secret. Without credentials a
// fake FirstPromoter is started in the same process. With FIRSTPROMOTER_API_KEY and FIRSTPROMOTER_ACCOUNT_ID set, every payment is
// reported to the real one. With -outbox fprom.db an accepted sale outlives the process.
//
// The shop itself is in shop.go.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
)

const visitor = "visitor-1" // the cookie of a visitor whom a promoter brought

type options struct {
	addr, outbox string
	send         bool
}

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stderr)) }

func run(ctx context.Context, args []string, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("webhook", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`address` to listen on")
	flags.StringVar(&o.outbox, "outbox", "", "keep undelivered events in this `file`, one per FirstPromoter account (default: in memory)")
	flags.BoolVar(&o.send, "send", false, "buy something, show what arrived at the fake FirstPromoter, and end")
	switch err := flags.Parse(args); { // Parse has printed the error or the help
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, o, stderr); err != nil {
		fmt.Fprintln(stderr, "webhook:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, o options, stderr io.Writer) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w (choose another address with -addr)", err)
	}
	defer ln.Close()

	cfg, fake := config(stderr)
	if fake != nil {
		defer fake.Close()
	} else if o.send {
		return errors.New("-send buys for nothing, so it is only for the fake FirstPromoter: unset FIRSTPROMOTER_API_KEY and FIRSTPROMOTER_ACCOUNT_ID")
	}
	if o.outbox != "" {
		queue, err := boltqueue.Open(o.outbox)
		if err != nil {
			return err
		}
		defer queue.Close() // the Tracker closes it too, unless New fails
		cfg.Queue = queue
	}
	tracker, err := fprom.New(cfg)
	if err != nil {
		return err
	}

	url := "http://" + ln.Addr().String()
	secret := cmp.Or(os.Getenv("STRIPE_WEBHOOK_SECRET"), "whsec_example")
	provider := &pretendStripe{secret: secret, webhook: url + "/webhooks/stripe"}
	server := &http.Server{
		Handler:           newShop(tracker, provider, secret),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       time.Minute,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()

	if o.send {
		err = send(ctx, stderr, url, provider, tracker, fake)
	} else {
		usage(stderr, url)
		select {
		case err = <-served: // the listener broke
		case <-ctx.Done():
			fmt.Fprintln(stderr, "shutting down")
		}
	}
	return errors.Join(err, shutdown(server, tracker))
}

// shutdown ends the handlers first, because they still accept webhooks, and then the Tracker. Each has its own time limit.
func shutdown(server *http.Server, tracker *fprom.Tracker) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := server.Shutdown(ctx)

	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, tracker.Shutdown(ctx))
}

// config returns the Tracker's Config. Without credentials it also starts a fake FirstPromoter.
func config(stderr io.Writer) (cfg fprom.Config, fake *fpromtest.Server) {
	if os.Getenv("FIRSTPROMOTER_API_KEY") != "" || os.Getenv("FIRSTPROMOTER_ACCOUNT_ID") != "" {
		fmt.Fprintln(stderr, "FIRSTPROMOTER_API_KEY or FIRSTPROMOTER_ACCOUNT_ID is set: payments are reported to that FirstPromoter account.")
	} else {
		fake = fpromtest.Start()
		fake.AddVisitor(visitor)
		cfg = fake.Config()
		fmt.Fprintf(stderr, "No FIRSTPROMOTER_API_KEY and FIRSTPROMOTER_ACCOUNT_ID: using a fake FirstPromoter at %s\n", fake.URL)
	}
	// In production log from Info on. Then only lines that need attention appear.
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	slog.SetDefault(logger) // for the webhook's handler
	cfg.Logger = logger
	return cfg, fake
}

func usage(w io.Writer, url string) {
	fmt.Fprintf(w, `The shop is at %[1]s. Try in another terminal:

# somebody whom a promoter brought (the cookie says so) buys a course, is sent to the payment page (-L), and pays
curl -sL -b _fprom_tid=%[2]s -d '{"email":"jane@example.com","item":"course"}' %[1]s/checkout

# a subscription: Stripe sends two webhooks, of which one is the sale
curl -sL -b _fprom_tid=%[2]s -d '{"email":"jane@example.com","item":"pro"}' %[1]s/checkout

# a webhook that Stripe did not sign: 400
curl -s -w '%%{http_code}\n' -d '{"type":"invoice.paid"}' %[1]s/webhooks/stripe

# what was reported
curl -s %[1]s/status

`, url, visitor)
}
