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

// changesFlag lets cmd name the file of what FirstPromoter's webhooks said.
func (a *app) changesFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.changes, "changes", "", "file in which the service notes FirstPromoter's webhooks (firstpromoter.OpenChanges): shows which commissions were denied or deleted (default $"+envChanges+")")
}

// readChanges lets a.became say what somebody made of a commission. Without a file it says nothing.
func (a *app) readChanges() error {
	path := cmp.Or(a.changes, os.Getenv(envChanges))
	if path == "" {
		return nil
	}
	c, err := firstpromoter.ReadChanges(path)
	if err != nil {
		return failed("%w; check --changes and $%s: the service makes the file with firstpromoter.OpenChanges", err, envChanges)
	}
	a.became = c.Status
	return nil
}

// statuses are what became of an event's commissions, as far as FirstPromoter's webhooks said.
func (a *app) statuses(e fprom.Entry) map[int64]string {
	all := map[int64]string{}
	for _, id := range e.CommissionIDs {
		if s := a.became(id); s != "" {
			all[id] = s
		}
	}
	return all
}

// outcome is an event's outcome, and whether somebody took its commissions away: "tracked, denied", "tracked, 1 of 2 deleted".
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

// commissions are the commissions of an event that is done: how many, and each with what became of it.
func (a *app) commissions(e fprom.Entry) string {
	if e.State != fprom.StateDone {
		return ""
	}
	var each []string
	statuses := a.statuses(e)
	for _, id := range e.CommissionIDs {
		each = append(each, strings.TrimSpace(fmt.Sprintf("%d %s", id, statuses[id])))
	}
	return strconv.Itoa(e.Commissions) + hint(len(each) > 0, ": "+strings.Join(each, ", "))
}
