package main

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/firstpromoter"
)

const envChanges = "FPROM_CHANGES"

// changesFlag adds --changes, the file with FirstPromoter's webhooks.
func (a *app) changesFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.changes, "changes", "", "file in which the service stores FirstPromoter's webhooks (firstpromoter.OpenChanges): shows which commissions were denied or deleted (default $"+envChanges+")")
}

// readChanges sets a.commissionStatus from the file, if one is named.
func (a *app) readChanges() error {
	path := cmp.Or(a.changes, os.Getenv(envChanges))
	if path == "" {
		return nil
	}
	c, err := firstpromoter.ReadChanges(path)
	if err != nil {
		return failed("%w; check --changes and $%s: the service makes the file with firstpromoter.OpenChanges", err, envChanges)
	}
	a.commissionStatus = c.Status
	return nil
}

// statuses are the known statuses of an event's commissions.
func (a *app) statuses(e fprom.Entry) map[int64]string {
	all := map[int64]string{}
	for _, id := range e.CommissionIDs {
		if s := a.commissionStatus(id); s != "" {
			all[id] = s
		}
	}
	return all
}

// outcome is an event's outcome, and how many commissions were denied or deleted: "tracked, denied", "tracked, 1 of 2 deleted".
func (a *app) outcome(e fprom.Entry) string {
	n, all := map[string]int{}, len(e.CommissionIDs)
	for _, s := range a.statuses(e) {
		n[s]++
	}
	parts := []string{string(e.Outcome)}
	for _, s := range []string{firstpromoter.StatusDenied, firstpromoter.StatusDeleted} {
		switch n[s] {
		case 0:
		case all:
			parts = append(parts, s)
		default:
			parts = append(parts, fmt.Sprintf("%d of %d %s", n[s], all, s))
		}
	}
	return strings.Join(parts, ", ")
}

// commissions lists the commissions of an event that is done: how many, and each with its status. The answer to a duplicate does
// not say how many.
func (a *app) commissions(e fprom.Entry) string {
	if e.State != fprom.StateDone || e.Outcome == fprom.Duplicate && len(e.CommissionIDs) == 0 {
		return ""
	}
	var each []string
	statuses := a.statuses(e)
	for _, id := range e.CommissionIDs {
		each = append(each, strings.TrimSpace(fmt.Sprintf("%d %s", id, statuses[id])))
	}
	return strconv.Itoa(e.Commissions) + hint(len(each) > 0, ": "+strings.Join(each, ", "))
}
