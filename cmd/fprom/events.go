package main

import (
	"context"
	"io"
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

type eventsJSON struct {
	Events []eventJSON `json:"events"`
	Next   *string     `json:"next"` // for --after; null at the end
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
		Use: "events [KEY…]", Short: "List events, or show those named",
		Long: `List the events of the outbox, the oldest first, or show those named in full. A KEY is as listed, or an event id.
--since and --until look at when an event was recorded. With --changes it shows whether somebody denied or deleted the commissions.
It changes nothing.`,
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
			return a.withOutbox(ctx, func(box fprom.Outbox) error { return a.listEvents(ctx, box, f) })
		}),
	}
	flags.register(cmd, 50)
	f := cmd.Flags()
	f.StringVar(&flags.state, "state", "", "only waiting, done or dead")
	f.StringVar(&flags.outcome, "outcome", "", "only "+strings.Join(outcomes, ", "))
	f.StringVar(&flags.after, "after", "", "continue after this cursor, which an earlier list printed")
	complete(cmd, "state", states...)
	complete(cmd, "outcome", outcomes...)
	a.outboxFlag(cmd)
	a.changesFlag(cmd)
	a.personalFlag(cmd)
	return cmd
}

func (a *app) listEvents(ctx context.Context, box fprom.Outbox, f fprom.Filter) error {
	found, n, next, err := a.list(ctx, box, f, func(e fprom.Entry) any { return a.eventOf(e) })
	if err != nil {
		return err
	}
	if err := a.showEvents(found, n, f, next); err != nil {
		return err
	}
	if missing := unseen(f.Keys, found); len(missing) > 0 && next == nil {
		return failed("not among the selected events: %s; the ledger forgets events after its time, and dropped ones at once", strings.Join(missing, ", "))
	}
	return nil
}

func (a *app) showEvents(found []fprom.Entry, n int, f fprom.Filter, next *string) error {
	if a.format == formatJSONL { // list has written the events
		return a.summary(n, next)
	}
	v := eventsJSON{Events: make([]eventJSON, len(found)), Next: next}
	for i, e := range found {
		v.Events[i] = a.eventOf(e)
	}
	return a.show(v, func(w io.Writer) { a.eventsText(w, found, f, next) })
}

// list reads the entries that f selects. n is their number, and next is the cursor for more, nil at the end. For jsonl it writes
// asLine of each entry at once, and returns entries only if keys were named.
func (a *app) list(ctx context.Context, box fprom.Outbox, f fprom.Filter, asLine func(fprom.Entry) any) (found []fprom.Entry, n int, next *string, err error) {
	limit, last := f.Limit, ""
	if limit > 0 {
		limit = max(limit, len(f.Keys)) // show all named events
		f.Limit = limit + 1             // one more, to know whether the list goes on
	}
	for e, err := range box.Entries(ctx, f) {
		switch {
		case err != nil:
			return nil, n, nil, err
		case limit > 0 && n == limit:
			return found, n, &last, nil
		}
		n, last = n+1, e.Cursor
		if a.format == formatJSONL {
			if err := a.line("result", asLine(e)); err != nil {
				return nil, n, nil, err
			}
		}
		if a.format != formatJSONL || len(f.Keys) > 0 {
			found = append(found, e)
		}
	}
	return found, n, nil, nil
}

// unseen returns the keys that no entry of found has.
func unseen(keys []string, found []fprom.Entry) (missing []string) {
	for _, k := range keys {
		seen := false
		for _, e := range found {
			seen = seen || fprom.Filter{Keys: []string{k}}.Match(e)
		}
		if !seen {
			missing = append(missing, fprom.MaskEmail(k))
		}
	}
	return missing
}

// summary writes the last line of jsonl.
func (a *app) summary(n int, next *string) error {
	return a.line("summary", struct {
		Count int     `json:"count"`
		Next  *string `json:"next"`
	}{n, next})
}
