package main

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
)

// deadJSON is a dead letter.
type deadJSON struct {
	Key      string     `json:"key"`
	Kind     string     `json:"kind"`
	Amount   int64      `json:"amount"`
	Currency string     `json:"currency"`
	Customer string     `json:"customer"`
	Reason   string     `json:"reason"`
	Status   int        `json:"status"`
	Attempts int        `json:"attempts"`
	At       *time.Time `json:"at"` // when it was given up
	Damaged  bool       `json:"damaged"`
}

func deadOf(e fprom.Entry) deadJSON {
	return deadJSON{e.Key, e.Kind, e.Amount, e.Currency, e.Customer, because(e), e.StatusCode, e.Attempts, utc(e.SettledAt), e.Damaged}
}

func (a *app) dead() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dead", Short: "List, send again or drop the dead letters", Args: known, SuggestionsMinimumDistance: 2,
		Long: `A dead letter is an event that FirstPromoter rejected, or that failed for a day while others succeeded. list shows dead letters
with the reason. redrive sends them again under their own event ids, so that no commission is paid twice. drop removes them for
good.`,
		Example: `  fprom dead list
  fprom dead redrive --status 400 --since 7d --dry-run`,
		RunE: func(*cobra.Command, []string) error { return usage("dead: say list, redrive or drop") },
	}
	a.outboxFlag(cmd)
	cmd.AddCommand(a.deadList(), a.deadChange(redriving), a.deadChange(dropping))
	return cmd
}

func (a *app) deadList() *cobra.Command {
	var flags filterFlags
	var all bool
	cmd := &cobra.Command{
		Use: "list [KEY…]", Short: "List the dead letters with their reasons",
		Example: `  fprom dead list
  fprom dead list --reason "amount" --since 7d
  fprom dead list --all -o jsonl`,
		RunE: command(func(ctx context.Context, keys []string) error {
			f, err := flags.filter(keys, time.Now())
			if err != nil {
				return err
			}
			if all {
				f.Limit = 0
			}
			f.State, f.Personal = fprom.StateDead, a.personal
			return a.withOutbox(ctx, func(box fprom.Outbox) error { return a.list(ctx, box, f, deadLetters) })
		}),
	}
	flags.register(cmd, 50)
	cmd.Flags().BoolVar(&all, "all", false, "all, as --limit 0")
	cmd.MarkFlagsMutuallyExclusive("all", "limit")
	flags.registerAfter(cmd)
	a.personalFlag(cmd)
	return cmd
}

var deadLetters = list{
	name: "dead", what: "dead letter", absent: "no dead letter has the key %s",
	object:  func(e fprom.Entry) any { return deadOf(e) },
	columns: []string{"KEY", "AMOUNT", "CUSTOMER", "GIVEN UP", "TRIES", "STATUS", "REASON"},
	cells: func(e fprom.Entry) []string {
		return []string{e.Key, amount(e), e.Customer, stamp(e.SettledAt), strconv.Itoa(e.Attempts), hint(e.StatusCode != 0, strconv.Itoa(e.StatusCode)), because(e)}
	},
}

// change is an action on dead letters.
type change struct {
	verb, short, long, example string
	done                       string // the participle, and the field of the JSON
	apply                      func(context.Context, fprom.Outbox, fprom.Filter) (int, error)
}

var (
	redriving = change{
		verb: "redrive", done: "redriven", short: "Send dead letters again, under their own event ids",
		long: `Send dead letters again, under their own event ids, so that FirstPromoter pays nothing twice. Mend the reason first, or
FirstPromoter refuses them again. --wait waits for their outcomes; the exit status is then 3 if one is a dead letter again. It is 3, too,
if one could not be redriven, because its record is damaged or erased.`,
		example: `  fprom dead redrive --all --dry-run
  fprom dead redrive sale:ch_123 --wait
  fprom dead redrive --status 400 --since 7d --yes`,
		apply: func(ctx context.Context, box fprom.Outbox, f fprom.Filter) (int, error) { return box.Redrive(ctx, f) },
	}
	dropping = change{
		verb: "drop", done: "dropped", short: "Remove dead letters for good: they are never sent",
		long: "Remove dead letters for good: they are never sent. A corrected event takes the place of a dead letter with its event id; you need not drop that one.",
		example: `  fprom dead drop sale:ch_123
  fprom dead drop --reason "test mode" --dry-run`,
		apply: func(ctx context.Context, box fprom.Outbox, f fprom.Filter) (int, error) { return box.Drop(ctx, f) },
	}
)

// applyTo changes the dead letters of plan, and none that came later.
func (c change) applyTo(ctx context.Context, box fprom.Outbox, plan []fprom.Entry) (total int, err error) {
	for len(plan) > 0 {
		keys, kind := []string{}, plan[0].Kind // of one kind: the key sale:ch_1 may be the event id of a refund, too
		for len(plan) > 0 && plan[0].Kind == kind && len(keys) < 500 {
			keys, plan = append(keys, plan[0].Key), plan[1:]
		}
		n, err := c.apply(ctx, box, fprom.Filter{Keys: keys, Kind: kind})
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

// changeFlags are the flags of redrive and drop.
type changeFlags struct {
	filterFlags
	all, yes, dry bool
	wait          time.Duration
}

func (a *app) deadChange(c change) *cobra.Command {
	var flags changeFlags
	cmd := &cobra.Command{
		Use: c.verb + " [KEY…]", Short: c.short, Long: c.long, Example: c.example,
		RunE: command(func(ctx context.Context, keys []string) error {
			f, err := flags.selected(keys, time.Now())
			if err != nil {
				return err
			}
			f.Personal = a.personal
			return a.changeDead(ctx, a.opener(ctx), c, f, flags)
		}),
	}
	flags.register(cmd, 0)
	f := cmd.Flags()
	f.BoolVar(&flags.all, "all", false, "all dead letters")
	f.BoolVar(&flags.yes, "yes", false, "do not ask")
	f.BoolVar(&flags.dry, "dry-run", false, "show what would be "+c.done+", and change nothing")
	if c.verb == redriving.verb {
		f.DurationVar(&flags.wait, "wait", 0, "wait for their outcomes, at most this long")
		f.Lookup("wait").NoOptDefVal = "10m"
	}
	a.personalFlag(cmd)
	return cmd
}

// selected returns the filter. It is an error to give neither a key, a filter nor --all.
func (s *changeFlags) selected(keys []string, now time.Time) (fprom.Filter, error) {
	f, err := s.filter(keys, now)
	for _, key := range keys {
		if s.wait > 0 && aDuration(key) {
			return f, usage("%s: is taken for a key; write --wait=%s", key, key)
		}
	}
	switch empty := reflect.DeepEqual(f, fprom.Filter{Keys: keys, Limit: f.Limit}) && len(keys) == 0; {
	case err != nil:
		return f, err
	case s.wait < 0:
		return f, usage("--wait %s: is negative", s.wait)
	case empty && !s.all:
		return f, usage("say which: keys, --all, or a filter such as --since, --reason, --status")
	case !empty && s.all:
		return f, usage("--all and keys or filters exclude each other")
	}
	f.State = fprom.StateDead
	return f, nil
}

func (a *app) changeDead(ctx context.Context, open opener, c change, f fprom.Filter, flags changeFlags) error {
	var plan []fprom.Entry
	err := open(func(box fprom.Outbox) (err error) {
		plan, err = entries(box.Entries(ctx, f))
		return err
	})
	if err != nil {
		return err
	}
	if missing := unseen(f.Keys, plan); len(missing) > 0 {
		return failed(deadLetters.absent+"; see fprom dead list", strings.Join(missing, ", "))
	}
	if flags.dry || !flags.yes && a.terminal.in {
		a.showPlan(c, plan, flags.dry)
	}
	if len(plan) == 0 || flags.dry {
		return a.showChange(c, 0, len(plan), flags, followed{})
	}
	if err := a.confirm(ctx, flags.yes, "--yes to do it, --dry-run to see what it would do", fmt.Sprintf("%s %s", c.verb, count(len(plan), "dead letter"))); err != nil {
		return err
	}
	return open(func(box fprom.Outbox) error { return a.changePlan(ctx, box, c, plan, flags) })
}

func (a *app) changePlan(ctx context.Context, box fprom.Outbox, c change, plan []fprom.Entry, flags changeFlags) error {
	idle := flags.wait > 0 && a.idle(ctx, box) // after the change, a service that restarts may deliver nothing for a moment
	n, err := c.applyTo(ctx, box, plan)
	if err != nil {
		a.note("%d of %s are known to be %s; fprom dead list shows what is left", n, count(len(plan), "dead letter"), c.done)
		return err
	}
	var v followed
	switch {
	case flags.wait == 0 || n == 0:
	case idle:
		v.waiting = n
		a.note("nobody delivers this outbox now: they are sent when the service starts")
	default:
		if v, err = a.follow(ctx, box, plan, n, flags.wait); err != nil {
			a.note("%s %s; fprom status shows what waits, fprom dead list what is given up again", count(n, "dead letter"), c.done)
			return err
		}
	}
	return a.showChange(c, n, len(plan), flags, v)
}

// showPlan lists the selected dead letters: on stdout if that is the result (dry), else on stderr.
func (a *app) showPlan(c change, plan []fprom.Entry, dry bool) {
	if a.format != formatText {
		return
	}
	w := a.errs
	if dry {
		w = a.out
	}
	const most = 20
	writeTable(w, deadLetters.columns, plan[:min(len(plan), most)], deadLetters.cells)
	if len(plan) > most {
		_, _ = fmt.Fprintf(w, "… and %d more; fprom dead list shows all\n", len(plan)-most)
	}
	if dry {
		_, _ = fmt.Fprintf(w, "%s would be %s; nothing was changed\n", count(len(plan), "dead letter"), c.done)
	}
}

func (a *app) showChange(c change, n, selected int, flags changeFlags, f followed) error {
	v := map[string]any{c.done: n, "selected": selected, "dry_run": flags.dry}
	if flags.wait > 0 {
		events := []eventJSON{}
		for _, e := range f.found {
			events = append(events, a.eventOf(e))
		}
		v["waiting"], v["dead_again"], v["events"] = f.waiting, f.dead, events
	}
	err := a.show(v, func(w io.Writer) {
		switch {
		case flags.dry:
		case flags.wait > 0 && n > 0:
			writeTable(w, eventColumns, f.found, a.eventCells)
			_, _ = fmt.Fprintf(w, "%s %s: %d done, %d dead again, %d still waiting\n", count(n, "dead letter"), c.done, f.done, f.dead, f.waiting)
		default:
			_, _ = fmt.Fprintf(w, "%s %s\n", count(n, "dead letter"), c.done)
		}
	})
	left := 0
	if c.verb == redriving.verb && !flags.dry {
		left = selected - n
	}
	if left > 0 {
		a.note("%s not redriven: a damaged or erased one can only be dropped; the others were sent or dropped by somebody else meanwhile", count(left, "dead letter"))
	}
	if err == nil && f.dead+f.waiting+left > 0 {
		return errNeedsPerson
	}
	return err
}
