package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom/internal/verdict"
)

type checkJSON struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Detail string `json:"detail"`
	Fix    string `json:"fix"`
}

// doctor checks everything between the service and its commissions, and creates nothing. A check is left out if one failed that it
// builds on.
type doctor struct {
	a       *app
	timeout time.Duration
	checks  []checkJSON
	exit    int

	key, account string // empty if they cannot be sent
	company      string // address of the Company API; empty if the setting is wrong
}

func (a *app) doctor() *cobra.Command {
	d := &doctor{a: a}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check settings, network, credentials and outbox, and say what to do", Args: takes(0, 0, ""),
		Long: `Check everything between the service and its commissions: the settings in the environment, name lookup, connection and TLS, the
clock, the credentials (by reading the campaigns), the outbox, what waits in it, and whether another integration reports sales
beside it. It creates nothing and sends no event. Run it where the service runs, with the service's environment.`,
		Example: `  fprom doctor
  fprom doctor --outbox /var/lib/shop/fprom.db
  fprom doctor -o json | jq '.checks[] | select(.status != "ok")'`,
		RunE: command(func(ctx context.Context, _ []string) error { return d.run(ctx) }),
	}
	a.outboxFlag(cmd)
	cmd.Flags().DurationVar(&d.timeout, "timeout", 10*time.Second, "how long each answer may take")
	return cmd
}

func (d *doctor) run(ctx context.Context) error {
	if d.timeout <= 0 {
		return usage("--timeout %s: must be positive", d.timeout)
	}
	d.settings(ctx)
	known := d.callFirstPromoter(ctx)
	box, end := d.outbox(ctx)
	if box != nil {
		d.referrals(ctx, box, d.backlog(ctx, box))
		if known {
			d.others(ctx, box)
		}
		if err := end(); err != nil {
			d.warn("outbox", "run fprom doctor again", "it could not be closed: %v", err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := d.result(); err != nil {
		return err
	}
	if d.exit != exitDone {
		return &exitError{code: d.exit}
	}
	return nil
}

func (d *doctor) result() error {
	bad, odd := 0, 0
	for _, c := range d.checks {
		switch c.Status {
		case verdict.Fail:
			bad++
		case verdict.Warn:
			odd++
		}
	}
	switch d.a.format {
	case formatJSON:
		return d.a.show(struct {
			Checks []checkJSON `json:"checks"`
		}{d.checks}, nil)
	case formatJSONL:
		return d.a.line("summary", struct {
			OK   int `json:"ok"`
			Warn int `json:"warn"`
			Fail int `json:"fail"`
		}{len(d.checks) - bad - odd, odd, bad})
	}
	_, err := fmt.Fprintf(d.a.out, "%s: %d failed, %s\n", count(len(d.checks), "check"), bad, count(odd, "warning"))
	return err
}

func (d *doctor) ok(name, format string, args ...any) {
	d.add(checkJSON{name, verdict.OK, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(name, fix, format string, args ...any) {
	d.add(checkJSON{name, verdict.Warn, fmt.Sprintf(format, args...), fix})
}

// fail notes a check that failed. Refused credentials and an unreachable FirstPromoter have an exit status of their own.
func (d *doctor) fail(name string, exit int, fix, format string, args ...any) {
	d.exit = max(d.exit, exit)
	d.add(checkJSON{name, verdict.Fail, fmt.Sprintf(format, args...), fix})
}

// add shows a check at once, except as JSON: the next one may take seconds.
func (d *doctor) add(c checkJSON) {
	d.checks = append(d.checks, c)
	if c.Status == verdict.Fail {
		d.exit = max(d.exit, exitAttention)
	}
	switch d.a.format {
	case formatJSONL:
		_ = d.a.line("result", c)
	case formatText:
		d.text(d.a.out, c)
	}
}

func (d *doctor) text(w io.Writer, c checkJSON) {
	mark, colour := "✓", "32"
	switch c.Status {
	case verdict.Warn:
		mark, colour = "!", "33"
	case verdict.Fail:
		mark, colour = "✗", "31"
	}
	if d.a.colours() {
		mark = "\x1b[" + colour + "m" + mark + "\x1b[0m"
	}
	_, _ = fmt.Fprintf(w, "%s %-13s %s\n", mark, c.Name, clean(c.Detail))
	if c.Fix != "" {
		_, _ = fmt.Fprintf(w, "  %-13s → %s\n", "", clean(c.Fix))
	}
}
