package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
)

func (a *app) forget() *cobra.Command {
	var yes, dry bool
	cmd := &cobra.Command{
		Use: "forget EMAIL|UID", Short: "Erase a person from the outbox",
		Long: `Erase the customer and the content of a person's dead letters; these can no longer be sent again. An event that waits is erased
when it has its outcome, since a commission depends on it. What is done names no customer any more. Event ids and amounts stay.
Events that were recorded with an address and a uid are found by the address.`,
		Example: `  fprom forget ann@example.com --dry-run
  fprom forget ann@example.com --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || strings.TrimSpace(args[0]) == "" {
				return usage("forget: name one customer, by the e-mail address or the uid")
			}
			return nil
		},
		RunE: command(func(ctx context.Context, args []string) error {
			customer := args[0]
			if strings.Contains(customer, "@") { // else the blanks are a part of the uid
				customer = strings.TrimSpace(customer)
			}
			return a.erase(ctx, a.opener(ctx), customer, yes, dry)
		}),
	}
	a.outboxFlag(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show how many events would be erased, and change nothing")
	return cmd
}

func (a *app) erase(ctx context.Context, open opener, customer string, yes, dry bool) error {
	var letters, waiting []fprom.Entry
	err := open(func(box fprom.Outbox) (err error) {
		if letters, err = entries(box.Entries(ctx, fprom.Filter{Customer: customer, State: fprom.StateDead})); err == nil {
			waiting, err = entries(box.Entries(ctx, fprom.Filter{Customer: customer, State: fprom.StateWaiting}))
		}
		return err
	})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s at once and %s at the outcome", count(len(letters), "dead letter"), count(len(waiting), "waiting event"))
	none, n := len(letters)+len(waiting) == 0, 0
	if !dry && !none {
		if err := a.confirm(ctx, yes, "--yes to do it, --dry-run to see what it would do", "erase "+what); err != nil {
			return err
		}
		err := open(func(box fprom.Outbox) (err error) {
			n, err = box.Forget(ctx, customer)
			return err
		})
		if err != nil {
			return err
		}
	}
	return a.show(map[string]any{"forgotten": n, "dead": len(letters), "waiting": len(waiting), "dry_run": dry}, func(w io.Writer) {
		switch {
		case none:
			_, _ = fmt.Fprintln(w, "no event of the outbox names this customer. Give the address that its events were recorded with, or the uid if they have no address")
		case dry:
			_, _ = fmt.Fprintf(w, "would erase %s; nothing was changed\n", what)
		default:
			_, _ = fmt.Fprintf(w, "%s erased; %s will be erased at the outcome\n", count(n, "dead letter"), count(len(waiting), "waiting event"))
		}
	})
}
