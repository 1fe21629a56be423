package main

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/internal/loopback"
	"github.com/fprom-go/fprom/statuspage"
)

const (
	pageAddr        = "127.0.0.1:8811"
	envPagePassword = "FPROM_PAGE_PASSWORD" //nolint:gosec // the name of a variable
)

type pageFlags struct {
	addr, name string
	writable   bool
	rate       int
}

func (a *app) pageCommand() *cobra.Command {
	var flags pageFlags
	cmd := &cobra.Command{
		Use: "page", Short: "Show the status page of an outbox", Args: takes(0, 0, ""),
		Long: `Serve the status page of an outbox until Ctrl-C. Everybody on this machine can open a loopback address. For any other address
$` + envPagePassword + ` must be set, and browsers ask for it (any user name). Customers are masked.`,
		Example: `  fprom page
  fprom page --outbox postgres://shop@db/shop --writable
  ` + envPagePassword + `=… fprom page --addr :8811`,
		RunE: command(func(ctx context.Context, _ []string) error { return a.runPage(ctx, flags) }),
	}
	f := cmd.Flags()
	f.StringVar(&flags.addr, "addr", pageAddr, "address to listen on")
	f.StringVar(&flags.name, "name", "", "shown at the top")
	f.BoolVar(&flags.writable, "writable", false, "let everybody who sees the page redrive and drop dead letters")
	f.IntVar(&flags.rate, "rate", 400, "calls a minute that the account allows")
	a.outboxFlag(cmd)
	return cmd
}

func (a *app) runPage(ctx context.Context, flags pageFlags) error {
	if err := checkRate(flags.rate); err != nil {
		return err
	}
	password := os.Getenv(envPagePassword)
	host, _, err := net.SplitHostPort(flags.addr)
	if err != nil {
		return usage("--addr %q: is not host:port", flags.addr)
	}
	if !loopback.Is(host) && password == "" {
		return usage("--addr %q: others can reach it: set $%s, or listen on 127.0.0.1", flags.addr, envPagePassword)
	}
	if isJSON(a.format) {
		return usage("--output %s: the page has no result; use its status.json", a.format)
	}
	opts := statuspage.Options{
		Auth: pageAuth(password), Challenge: hint(password != "", `Basic realm="fprom"`), Writable: flags.writable, Name: flags.name, RequestsPerMinute: flags.rate,
	}
	serve := func(box fprom.Outbox) error {
		opts.Outbox = box
		h, err := statuspage.Handler(nil, opts)
		if err != nil {
			return usage("%w", err)
		}
		return a.serve(ctx, flags.addr, h, func(url string) {
			_, _ = fmt.Fprintf(a.errs, "the status page is at %s/\nCtrl-C ends it.\n", url)
		})
	}
	where, err := a.location()
	if err != nil {
		return err
	}
	if isDatabase(where) {
		return a.withOutbox(ctx, serve)
	}
	if err := a.withOutbox(ctx, func(fprom.Outbox) error { return nil }); err != nil { // report its problems now
		return err
	}
	opts.Open = func() (fprom.Outbox, error) { // for each read, so that a service can start meanwhile
		return boltqueue.OpenOrDial(where, boltqueue.WithLogger(slog.New(slog.DiscardHandler)), boltqueue.WithoutCreate(), boltqueue.WithoutRun(), boltqueue.WithoutSocket())
	}
	return serve(nil)
}

// pageAuth checks the password. Without a password it accepts only requests to a loopback host: if the name of a foreign site
// resolves to this machine, that site's scripts must not read the page.
func pageAuth(password string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		if password == "" {
			return loopback.Is((&url.URL{Host: r.Host}).Hostname())
		}
		_, given, ok := r.BasicAuth()
		return ok && subtle.ConstantTimeCompare([]byte(given), []byte(password)) == 1
	}
}
