package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/internal/currency"
	"github.com/fprom-go/fprom/internal/safelog"
)

type backfillFlags struct {
	fileFlags
	rejects              string
	dry, deliver, notify bool
	wait                 time.Duration
	rate                 int
}

func (a *app) backfill() *cobra.Command {
	flags := backfillFlags{fileFlags: fileFlags{kind: fprom.KindSale}}
	cmd := &cobra.Command{
		Use: "backfill FILE", Short: "Bring past sales in, behind all live events",
		Long: `Put past sales from CSV or JSONL (FILE, or - for stdin) into the outbox. Live events are sent before them, under the same limit.
FirstPromoter dates a sale at its delivery: past sales count as today's.

Columns have our names (event_id, email, uid, amount, currency, plan, created_at, …) or those of Stripe's and Paddle's exports;
--map names others. The event id must be the one that live events of the same payment have. Rows with errors go to --rejects,
with their line and the reason, ready to be mended and run again. After an interruption run the same command again: the outbox
knows what it has, and nothing is sent twice.`,
		Example: `  fprom backfill past.csv --amount major --dry-run
  fprom backfill past.csv --amount minor --rejects rejects.csv
  fprom backfill export.csv --amount major --decimal , --map 'Invoice ID=event_id' --deliver --wait`,
		Args: takes(1, 1, "FILE"),
		RunE: command(func(ctx context.Context, args []string) error { return a.runBackfill(ctx, args[0], flags) }),
	}
	flags.register(cmd)
	f := cmd.Flags()
	choose(cmd, f, &flags.kind, "kind", "", "what the rows are: sale, refund, signup or cancellation", kinds...)
	f.StringVar(&flags.rejects, "rejects", "", "file for the rows that need a person; overwritten")
	f.BoolVar(&flags.dry, "dry-run", false, "store nothing; count what would happen")
	f.BoolVar(&flags.deliver, "deliver", false, "send the events from here if no service does, and wait; creates a missing outbox")
	f.BoolVar(&flags.notify, "notify", false, "let FirstPromoter send its promoters mails about these events")
	f.DurationVar(&flags.wait, "wait", 0, "wait for their outcomes, at most this long")
	f.Lookup("wait").NoOptDefVal = "24h"
	f.IntVar(&flags.rate, "rate", 400, "calls a minute that the account allows")
	a.outboxFlag(cmd)
	return cmd
}

func (a *app) runBackfill(ctx context.Context, path string, flags backfillFlags) error {
	if err := checkRate(flags.rate); err != nil {
		return err
	}
	if flags.wait < 0 {
		return usage("--wait %s: is negative", flags.wait)
	}
	if where, err := a.location(); err == nil && sameFile(where, flags.rejects) {
		return usage("--rejects %s: is the outbox, and would be overwritten; name another file", flags.rejects)
	}
	format, err := flags.read()
	if err != nil {
		return err
	}
	format.Notify = flags.notify
	file, size, end, err := a.openFile(ctx, path)
	if err != nil {
		return err
	}
	defer end()
	return a.withBackfillOutbox(ctx, flags, func(box fprom.Outbox) error {
		if flags.kind != fprom.KindSignup {
			a.note("FirstPromoter will date these %ss today: it takes no other date", flags.kind)
		}
		if box == nil {
			where, _ := a.location()
			a.note("there is no outbox%s: all rows are taken as new", hint(where != "", " "+shown(where)))
		}
		return a.fill(ctx, box, file, size, format, flags)
	})
}

// fill puts the rows into the outbox, and waits for their outcomes if the flags say so.
func (a *app) fill(ctx context.Context, box fprom.Outbox, r io.Reader, size int64, format backfill.Format, flags backfillFlags) error {
	own, err := a.deliverer(ctx, box, flags)
	if err != nil {
		return err
	}
	defer own.end(ctx)
	p := a.progress("rows")
	if box != nil {
		box = patient{box, a, max(flags.wait, 10*time.Second)}
	}
	warned, refused, marks := 0, 0, 0
	result, err := backfill.Run(ctx, r, backfill.Options{
		Format: format, Outbox: box, DryRun: flags.dry, RejectsPath: flags.rejects, RequestsPerMinute: flags.rate,
		Columns: func(columns []backfill.Column) { a.noteColumns(columns, flags) },
		Refused: func(line int, err error) {
			if errors.Is(err, backfill.ErrDecimalMark) {
				marks++
			}
			if refused++; refused <= 5 && flags.rejects == "" {
				a.note("line %d: %s", line, rowReason(err))
			}
		},
		Warn: func(w backfill.Warning) {
			if warned++; warned <= 10 {
				a.note("%v", w)
			}
		},
		Progress: func(now backfill.Progress) {
			total := int64(0)
			if at := offset(r); size > 0 && at > 0 {
				total = int64(float64(now.Rows) * float64(size) / float64(at))
			}
			p.set(int64(now.Rows), total, fmt.Sprintf("%d queued, delivery takes %s", now.Queued, span(now.Left)))
		},
	})
	p.end()
	if warned > 10 {
		a.note("and %d more rows that look like one payment under two event ids", warned-10)
	}
	if marks > 0 && result.Queued+result.Known > 0 {
		mend := "refund each of these sales, and report it again under another event id"
		if flags.kind == fprom.KindRefund {
			mend = "report the rest of each of these refunds under another event id"
		}
		a.note("%s with a decimal mark: refused. The whole numbers are taken as minor units: 19 is 0.19 USD, not 19.00 USD. If that is wrong, read the file with --amount major%s", count(marks, "row"),
			hint(!flags.dry, ". But what is queued stays: "+mend))
	}
	if err != nil {
		if (problemOf(err) != nil || errors.Is(err, context.Canceled)) && !flags.dry {
			a.note("%s read, %d queued before the interruption", count(result.Rows, "row"), result.Queued)
		}
		return backfillError(err, result, flags.dry)
	}
	follow := (flags.deliver || flags.wait > 0) && !flags.dry // also for rows of an earlier run
	if follow {
		if result.Outcomes, err = a.followBulk(ctx, own, result, flags); err != nil {
			a.note("the rows are in the outbox, and none is lost: run the same command again to go on")
			return err
		}
	}
	if err := a.showBackfill(result, flags); err != nil || !follow || result.Outcomes != nil {
		return err
	}
	return errNeedsPerson // not all have an outcome
}

func backfillError(err error, r backfill.Result, dry bool) error {
	_, header := errors.AsType[*backfill.HeaderError](err)
	_, option := errors.AsType[*fprom.ValidationError](err)
	switch {
	case errors.Is(err, context.Canceled), problemOf(err) != nil: // withOutbox has words for it
		return err
	case header, r.Rows == 0:
		return failed("%w", err)
	case option:
		return usage("%w", err)
	case dry:
		return failed("%w; nothing was stored of the %s before: mend that and run the command again", err, count(r.Rows, "row"))
	default:
		return failed("%w; %d of the %s before are queued: mend that and run the command again, no row is queued twice", err, r.Queued, count(r.Rows, "row"))
	}
}

func (a *app) noteColumns(columns []backfill.Column, flags backfillFlags) {
	taken := make([]string, len(columns))
	for i, c := range columns {
		taken[i] = c.Name + " → " + c.Field
		if c.Field == "" {
			taken[i] = c.Name + " left out"
		}
	}
	a.note("columns: %s", strings.Join(taken, ", "))
	leftOut := func(word string) (name string) {
		if i := slices.IndexFunc(columns, func(c backfill.Column) bool { return c.Field == "" && strings.Contains(strings.ToLower(c.Name), word) }); i >= 0 {
			name = columns[i].Name
		}
		return name
	}
	if c := leftOut("refund"); flags.kind == fprom.KindSale && c != "" {
		a.note("column %s is left out: a refunded payment is taken as a sale, and earns its commission until its refund is reported too; bring in the provider's list of refunds with --kind refund", c)
	}
	byID := slices.Contains(columns, backfill.Column{Name: "id", Field: "event_id"}) // as in Stripe's export of payments
	if c := leftOut("invoice id"); flags.kind == fprom.KindSale && byID && c != "" {
		a.note("column %s is left out: if the service reports a payment under its invoice's id, as billing/stripe does, add --map %s, or a payment that it has reported earns a second commission", c, safelog.Word(c+"=event_id"))
	}
	named := slices.ContainsFunc(columns, func(c backfill.Column) bool { return c.Field == "currency" })
	if flags.amount == string(backfill.Major) && flags.currency == "" && !named {
		a.note("no column names the currency: amounts are taken to be in the account's currency, with hundredths; if it has none, such as JPY, add --currency JPY")
	}
}

// followBulk waits until no bulk event waits.
func (a *app) followBulk(ctx context.Context, own *deliverer, r backfill.Result, flags backfillFlags) (*backfill.Outcomes, error) {
	if s, err := own.box.Stats(ctx); err == nil && s.Bulk > 0 && !flags.deliver && a.idle(ctx, own.box) { // our own delivery starts soon
		a.note("nobody delivers this outbox now: the rows are sent when the service starts, or with --deliver")
		return nil, nil
	}
	most := flags.wait
	if most == 0 {
		most = 30 * 24 * time.Hour
	}
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	limited, stop := context.WithCancelCause(limited)
	defer stop(nil)
	p := a.progress("delivered")
	defer p.end()
	first := 0
	show := func(waiting int) {
		if err := errors.Join(own.begin(ctx), own.refused()); err != nil {
			stop(err)
		}
		first = max(first, waiting)
		p.set(int64(first-waiting), int64(first), fmt.Sprintf("at the account's limit %s left", span(backfill.TimeLeft(waiting, flags.rate))))
	}
	var o backfill.Outcomes
	wait := func() (err error) {
		o, err = backfill.Wait(limited, own.box, r.Since, show)
		return err
	}
	var err error
	if flags.deliver {
		err = wait()
	} else {
		err = a.patiently(limited, wait)
	}
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(limited.Err(), context.DeadlineExceeded): // not a time-out of the outbox
		a.note("not all rows have an outcome within %s; the outbox keeps the others, and they are sent when a process delivers them", most)
		return nil, nil
	case limited.Err() != nil:
		err = context.Cause(limited)
	}
	return &o, err
}

func (a *app) showBackfill(r backfill.Result, flags backfillFlags) error {
	if r.Invalid+r.Conflicts > 0 && flags.rejects == "" {
		a.note("to get all rows that need a person into a file, with their reasons, add --rejects FILE and run it again")
	}
	switch r.Rows {
	case 0:
		a.note("the file has no rows, only a header")
	case r.Zero:
		a.note("no row has an amount: name the column that has it, such as --map 'Amount paid=amount'")
	case r.Zero + r.Unpaid:
		a.note("no row is a paid sale: if a column is not the status of the payment, leave it out, such as --map 'Status=-'")
	}
	if r.Repeated > 0 {
		a.note("%s with the event id and amount of an earlier row: not queued, as a copy of it (or another fprom backfill brings the same rows in now: then run it again when that has ended). If it was another payment, give it an event id of its own, and leave the earlier rows as they are: a payment under a second id earns a second commission", count(r.Repeated, "row"))
	}
	queued := "queued"
	if flags.dry {
		queued = "would be queued"
	}
	err := a.show(r, func(w io.Writer) {
		_, _ = fmt.Fprintf(w, "%s: %d %s, %d known, %d with another amount, %d invalid%s\n", count(r.Rows, "row"), r.Queued, queued, r.Known, r.Conflicts, r.Invalid,
			hint(r.Zero > 0, fmt.Sprintf(", %d with the amount zero", r.Zero))+hint(r.Unpaid > 0, fmt.Sprintf(", %d not paid", r.Unpaid)))
		if len(r.Sums) > 0 {
			_, _ = fmt.Fprintf(w, "sum of the amounts%s: %s\n", hint(!flags.dry, " queued"), sumsText(r.Sums))
		}
		if r.RejectsFile != "" {
			_, _ = fmt.Fprintf(w, "rows that need a person: %s\n", r.RejectsFile)
		}
		if o := r.Outcomes; o != nil {
			_, _ = fmt.Fprintln(w, outcomesText(*o))
		} else if r.Queued > 0 {
			_, _ = fmt.Fprintf(w, "under the limit of %d calls a minute their delivery takes about %s\n", flags.rate, span(backfill.TimeLeft(r.Queued, flags.rate)))
		}
	})
	if err == nil && (r.Invalid+r.Conflicts+r.Repeated > 0 || r.Rows > 0 && r.Rows == r.Zero+r.Unpaid || r.Outcomes != nil && r.Dead > 0) {
		return errNeedsPerson
	}
	return err
}

func sumsText(sums map[string]int64) string {
	var parts []string
	for _, code := range slices.Sorted(maps.Keys(sums)) {
		parts = append(parts, hint(sums[code] == math.MaxInt64, "at least ")+currency.Format(sums[code], code)+hint(code == "", " in the account's currency"))
	}
	return strings.Join(parts, ", ")
}

func outcomesText(o backfill.Outcomes) string {
	return fmt.Sprintf("%d tracked, %d not a referral, %d duplicate, %d dead", o.Tracked, o.NotReferral, o.Duplicate, o.Dead)
}
