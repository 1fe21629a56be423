package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/reconcile"
)

func (a *app) why() *cobra.Command {
	cmd := &cobra.Command{
		Use: "why EMAIL|UID|EVENT-ID", Short: "Say why a sale earned nothing", Args: takes(1, 1, "EMAIL, UID or EVENT-ID"),
		Long: `Say why a sale earned nothing: no lead; lead expired, denied or moved; promoter blocked, rejected or archived; plan excluded; or
that it did earn. It makes at most three calls. With an outbox it also says what became of an event id, and with --changes
whether somebody deleted its commissions. If FirstPromoter cannot be asked, it says what the outbox knows of the customer, and ends
with the exit status of the failure.`,
		Example: `  fprom why ann@example.com
  fprom why in_1RbasilSub0001 --outbox fprom.db -o json`,
		RunE: command(func(ctx context.Context, args []string) error {
			client, err := a.companyClient(firstpromoter.Config{Attempts: 1})
			if err != nil {
				return err
			}
			if err := a.readChanges(); err != nil {
				return err
			}
			return a.withOptionalOutbox(ctx, func(box fprom.Outbox) error {
				reason, err := reconcile.Why(ctx, client, box, args[0], a.commissionStatus)
				if reason.Verdict == "" {
					return err
				}
				return errors.Join(err, a.show(reason, func(w io.Writer) {
					_, _ = fmt.Fprintf(w, "%s: %s\n", clean(reason.Verdict), clean(reason.Detail))
				}))
			})
		}),
	}
	a.outboxFlag(cmd)
	a.changesFlag(cmd)
	return cmd
}

// companyClient is a client for the Company API, with the settings of the environment. It tells of a wait for the account's limit.
func (a *app) companyClient(cfg firstpromoter.Config) (*firstpromoter.Client, error) {
	cfg.Observer = func(c firstpromoter.Call) {
		if c.Status == http.StatusTooManyRequests && c.Wait > time.Second {
			a.note("FirstPromoter answers 429 Too Many Requests; the next call is in %s", span(c.Wait))
		}
	}
	client, err := firstpromoter.New(cfg)
	if err != nil {
		return nil, credentialsError(err)
	}
	return client, nil
}

// withOptionalOutbox calls f with the outbox, or with nil if none is named or that of $FPROM_OUTBOX cannot be read. An outbox that
// --outbox names must open.
func (a *app) withOptionalOutbox(ctx context.Context, f func(fprom.Outbox) error) error {
	where := os.Getenv(envOutbox)
	switch {
	case a.where != "":
		return a.withOutbox(ctx, f)
	case where == "":
		return f(nil)
	}
	box, end, err := a.openSound(ctx, where)
	if err != nil {
		a.note("goes on without the outbox of $%s: %v", envOutbox, inWords(where, err))
		return f(nil)
	}
	return a.use(where, box, end, f)
}
