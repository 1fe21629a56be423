package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
)

// eventJSON is an event of the outbox.
type eventJSON struct {
	Key           string     `json:"key"`
	Kind          string     `json:"kind"`
	State         string     `json:"state"`
	Outcome       string     `json:"outcome"`
	Amount        int64      `json:"amount"` // in the currency's minor unit
	Currency      string     `json:"currency"`
	Customer      string     `json:"customer"`
	Bulk          bool       `json:"bulk"`
	RecordedAt    *time.Time `json:"recorded_at"`
	SettledAt     *time.Time `json:"settled_at"`
	Attempts      int        `json:"attempts"`
	NextAttempt   *time.Time `json:"next_attempt"`
	Reason        string     `json:"reason"`
	Status        int        `json:"status"`
	ID            int64      `json:"id"`
	Commissions   int        `json:"commissions"`
	CommissionIDs []int64    `json:"commission_ids"`
	Damaged       bool       `json:"damaged"`

	CommissionStatus map[int64]string `json:"commission_status"` // by commission id, from --changes
}

func (a *app) eventOf(e fprom.Entry) eventJSON {
	ids := e.CommissionIDs
	if ids == nil {
		ids = []int64{}
	}
	return eventJSON{
		Key: e.Key, Kind: e.Kind, State: string(e.State), Outcome: string(e.Outcome), Amount: e.Amount, Currency: e.Currency,
		Customer: e.Customer, Bulk: e.Bulk, RecordedAt: utc(e.RecordedAt), SettledAt: utc(e.SettledAt), Attempts: e.Attempts,
		NextAttempt: utc(e.NextAttempt), Reason: because(e), Status: e.StatusCode, ID: e.ID, Commissions: e.Commissions,
		CommissionIDs: ids, Damaged: e.Damaged, CommissionStatus: a.statuses(e),
	}
}

func (a *app) events() *cobra.Command {
	var flags filterFlags
	cmd := &cobra.Command{
		Use: "events [KEY…]", Short: "List events, or show some in full",
		Long: `List the events of the outbox, the oldest first. With KEYs, show these events in full. A KEY is as listed (sale:ch_1), or an event id.
--since and --until look at when an event was recorded. With --changes the outcome says whether somebody denied or deleted the
commissions. It changes nothing.`,
		Example: `  fprom events --state waiting
  fprom events --since 2h --kind refund
  fprom events --customer ann@example.com --personal
  fprom events in_1RbasilSub0001 --changes changes.jsonl
  fprom events --state done --limit 0 -o jsonl`,
		RunE: command(func(ctx context.Context, keys []string) error {
			f, err := flags.filter(keys, time.Now())
			if err != nil {
				return err
			}
			f.Personal = a.personal
			if err := a.readChanges(); err != nil {
				return err
			}
			if f.Customer != "" && f.State != fprom.StateWaiting && f.State != fprom.StateDead {
				a.note("the outbox erases the customer of an event that is done: look for such events by their ids")
			}
			return a.withOutbox(ctx, func(box fprom.Outbox) error { return a.list(ctx, box, f, a.eventList(len(keys) > 0)) })
		}),
	}
	flags.register(cmd, 50)
	f := cmd.Flags()
	choose(cmd, f, (*string)(&flags.State), "state", "", "only waiting, done or dead", states...)
	choose(cmd, f, (*string)(&flags.Outcome), "outcome", "", "only "+strings.Join(outcomes, ", "), outcomes...)
	flags.registerAfter(cmd)
	a.outboxFlag(cmd)
	a.changesFlag(cmd)
	a.personalFlag(cmd)
	return cmd
}
