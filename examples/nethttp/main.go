// Command nethttp is a small shop on net/http that reports its sales to FirstPromoter:
//
//	go -C examples/nethttp run .
//
// It prints curl commands to try. Without credentials it starts a fake FirstPromoter in the same process. With FIRSTPROMOTER_API_KEY
// and FIRSTPROMOTER_ACCOUNT_ID set, it reports every checkout to the real one. With -outbox fprom.db an accepted sale outlives the
// process. Ctrl-C delivers the queued events and ends the program.
//
// The shop itself is in shop.go. No card is charged.
package main

import (
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
	"github.com/fprom-go/fprom/promfprom"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stderr)) }

func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("nethttp", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on")
	outbox := flags.String("outbox", "", "keep undelivered events in this `file`, one per FirstPromoter account (default: in memory)")
	switch err := flags.Parse(args); { // Parse has printed the error or the help
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, stop, *addr, *outbox, stderr); err != nil {
		fmt.Fprintln(stderr, "nethttp:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, stop func(), addr, outbox string, stderr io.Writer) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%w (choose another address with -addr)", err)
	}
	defer ln.Close()

	cfg, closeFake := config(stderr)
	defer closeFake()
	if outbox != "" {
		queue, err := boltqueue.Open(outbox)
		if err != nil {
			return err
		}
		defer queue.Close() // the Tracker closes it too, unless New fails
		cfg.Queue = queue
	}
	metrics := promfprom.New()
	cfg.Observer = metrics.Observe
	tracker, err := fprom.New(cfg)
	if err != nil {
		return err
	}
	ops, err := operate(tracker, metrics)
	if err != nil {
		return errors.Join(err, tracker.Shutdown(ctx))
	}

	server := &http.Server{
		Handler:           newShop(tracker, ops),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	usage(stderr, "http://"+ln.Addr().String())

	select {
	case err = <-served: // the listener broke
	case <-ctx.Done():
		fmt.Fprintln(stderr, "shutting down (Ctrl-C again: at once)")
	}
	stop()                                       // a second Ctrl-C now kills the process
	err = errors.Join(err, end(server.Shutdown)) // first the handlers, because they still record sales
	ended := end(tracker.Shutdown)
	if left := new(fprom.UndeliveredError); errors.As(ended, &left) { // no failure: left.Events has the events
		cfg.Logger.Warn(ended.Error() + "; here: -outbox fprom.db")
		ended = nil
	}
	return errors.Join(err, ended)
}

// end calls a function that ends something, with a time limit of its own.
func end(shutdown func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return shutdown(ctx)
}

// config returns the Tracker's Config. Without credentials it starts a fake FirstPromoter, which closeFake ends.
func config(stderr io.Writer) (cfg fprom.Config, closeFake func()) {
	closeFake = func() {}
	if os.Getenv("FIRSTPROMOTER_API_KEY") != "" || os.Getenv("FIRSTPROMOTER_ACCOUNT_ID") != "" {
		fmt.Fprintln(stderr, "FIRSTPROMOTER_API_KEY or FIRSTPROMOTER_ACCOUNT_ID is set: sales are reported to that FirstPromoter account.")
		fmt.Fprintln(stderr, "There nobody knows the visitor-1 of the lines below: take the value of the cookie _fprom_tid on your site.")
	} else {
		fake := fpromtest.Start()
		fake.AddVisitor("visitor-1") // a visitor whom a promoter brought
		cfg, closeFake = fake.Config(), fake.Close
		fmt.Fprintf(stderr, "No FIRSTPROMOTER_API_KEY and FIRSTPROMOTER_ACCOUNT_ID: using a fake FirstPromoter at %s\n", fake.URL)
	}
	// In production log from Info on. Then only lines that need attention appear.
	cfg.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return cfg, closeFake
}

func usage(w io.Writer, url string) {
	fmt.Fprintf(w, `The shop is at %[1]s. Try in another terminal:

# somebody whom a promoter brought (the cookie says so) buys a mug; without the cookie it is nobody's sale
curl -s -b _fprom_tid=visitor-1 -d '{"email":"jane@example.com","item":"mug"}' %[1]s/checkout

# a card that is declined: 402, and nothing is reported
curl -s -b _fprom_tid=visitor-1 -d '{"email":"joe@example.com","item":"mug","card":"declined"}' %[1]s/checkout

# what was reported
curl -s %[1]s/status

# what the operator looks at: the status page (%[1]s/fprom/ in a browser), and the metrics
curl -s %[1]s/fprom/status.json
curl -s %[1]s/metrics

`, url)
}
