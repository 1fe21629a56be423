// Command demo shows what package fprom does when things go wrong:
//
//	go run ./examples/demo
//
// It starts a fake FirstPromoter and, as another process, a shop (net/http, with a durable outbox in a temporary directory). It buys
// over HTTP, makes FirstPromoter fail, kills the shop, and prints a table of all sales at the end. The table comes from the journal
// of the fake, not from the shop. The demo takes about 12 seconds and needs no network. The exit code is 0 if every event ended as
// expected, else 1.
//
// With -v it shows the shop's log, as an operator sees it in an outage.
//
// shop.go is the shop, scenes.go has the scenes, and journal.go reads the requests to FirstPromoter.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// The limit of the fake account and of the Tracker. With FirstPromoter's 400 a minute the demo would take half a minute.
const (
	perMinute = 900
	atOnce    = 15
)

// sizes are the sizes of the scenes. The short test uses smaller ones.
type sizes struct {
	outage        time.Duration
	burst, killed int
}

var full = sizes{outage: 3 * time.Second, burst: 60, killed: 40}

func main() {
	if outbox := os.Getenv(envOutbox); outbox != "" { // this process is the shop: see process.go
		os.Exit(shopMain(outbox))
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	verbose := flags.Bool("v", false, "show the shop's log")
	switch err := flags.Parse(args); { // Parse has printed the error or the help
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()

	shopLog := io.Discard
	if *verbose {
		shopLog = stderr
	}
	if err := demonstrate(ctx, full, stdout, shopLog); err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// demonstrate starts FirstPromoter and plays. The error names the scenes that did not end as expected.
func demonstrate(ctx context.Context, size sizes, out, shopLog io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "fprom-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	fake := fpromtest.Start(fpromtest.WithRateLimit(perMinute))
	defer fake.Close()
	d := &demo{
		sizes: size, out: out, start: time.Now(), shopLog: shopLog,
		fake: fake, outbox: filepath.Join(dir, "fprom.db"),
	}
	defer d.cleanUp()
	return d.play(ctx)
}

// play plays all scenes and prints the table.
func (d *demo) play(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // it takes a fraction of that
	defer cancel()
	if err := d.startShop(ctx); err != nil {
		return err
	}
	d.say("a fake FirstPromoter at %s, limit %d calls a minute", d.fake.URL, perMinute)
	d.say("a shop, process %d, with the outbox %s", d.shop.pid(), d.outbox)

	scenes := d.scenes()
	failed := make([]error, len(scenes))
	for i, s := range scenes {
		fmt.Fprintf(d.out, "\n%s\n", s.name)
		if failed[i] = s.play(ctx); failed[i] != nil {
			d.say("failed: %v", failed[i])
		}
		if ctx.Err() != nil {
			return fmt.Errorf("stopped in scene %q: %w", s.name, context.Cause(ctx))
		}
	}
	// Check only now: nothing is left in the queue that could still be sent.
	rows := make([]row, len(scenes))
	for i, s := range scenes {
		rows[i] = row{scene: s.name, expected: s.expected}
		rows[i].happened, rows[i].ok = s.check()
		if failed[i] != nil {
			rows[i].happened, rows[i].ok = failed[i].Error(), false
		}
	}
	wrong := printTable(d.out, rows)
	fmt.Fprintf(d.out, "\n%.1f s in all.\n", time.Since(d.start).Seconds())
	if len(wrong) > 0 {
		return fmt.Errorf("not as it must be: %q (the shop's log is shown with -v)", wrong)
	}
	return nil
}
