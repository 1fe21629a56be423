package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/firstpromoter"
	"github.com/fprom-go/fprom/reconcile"
)

type reconcileFlags struct {
	fileFlags
	sales, from, to string
	full, redrive   bool
	rate            int
	days            [2]time.Time
}

func (a *app) reconcile() *cobra.Command {
	flags := reconcileFlags{fileFlags: fileFlags{kind: fprom.KindSale}}
	cmd := &cobra.Command{
		Use: "reconcile", Short: "Compare what was sent with what FirstPromoter has", Args: takes(0, 0, ""),
		Long: `Compare the outbox, or a file of sales, with FirstPromoter's commissions, and say what is missing, foreign, doubled or of another
amount. It reads only days whose totals differ, unless --full. It prints how to mend it, and changes nothing unless --redrive.

--sales needs no outbox: it finds what an old integration lost. Its columns are read as fprom backfill reads them, and each row
needs its date (created_at). Beside --outbox, --sales only gives --redrive the customers, which the outbox has erased: without
--sales nothing of an outbox can be sent again.
The calls count against the account's limit, which tracking needs as well: see --rate.`,
		Example: `  fprom reconcile --from 2026-01-01 --to 2026-01-31
  fprom reconcile --sales stripe.csv --amount major --from 2026-01-01 --to 2026-01-31
  fprom reconcile --full -o json
  fprom reconcile --outbox fprom.db --sales past.csv --amount minor --redrive`,
		RunE: command(func(ctx context.Context, _ []string) error { return a.runReconcile(ctx, flags) }),
	}
	flags.register(cmd)
	f := cmd.Flags()
	f.StringVar(&flags.sales, "sales", "", "file of sales, CSV or JSONL, or - for stdin")
	f.StringVar(&flags.from, "from", "", "first day, such as 2026-01-31 (default 7 days ago)")
	f.StringVar(&flags.to, "to", "", "last day (default yesterday)")
	f.BoolVar(&flags.full, "full", false, "read the commissions of all days, also of those whose totals agree")
	f.BoolVar(&flags.redrive, "redrive", false, "send missing events again under their own event ids, so that nothing is paid twice")
	f.IntVar(&flags.rate, "rate", firstpromoter.DefaultRate, "calls a minute")
	a.outboxFlag(cmd)
	a.personalFlag(cmd)
	a.changesFlag(cmd)
	return cmd
}

func (a *app) runReconcile(ctx context.Context, flags reconcileFlags) error {
	if err := checkRate(flags.rate); err != nil {
		return err
	}
	if err := flags.readDays(time.Now().UTC().Truncate(24 * time.Hour)); err != nil {
		return err
	}
	client, err := a.companyClient(firstpromoter.Config{Rate: flags.rate})
	if err != nil {
		return err
	}
	if err := a.readChanges(); err != nil {
		return err
	}
	var refused int
	sales, end, err := a.readSales(ctx, flags, &refused)
	if err != nil {
		return err
	}
	defer end()
	compare := func(box fprom.Outbox) error { return a.compare(ctx, client, box, sales, &refused, flags) }
	switch {
	case flags.sales != "" && a.where == "": // --sales alone means the file alone
		if os.Getenv(envOutbox) != "" {
			a.note("only %s is compared; the outbox of $%s is not read: with --outbox it is compared, and %[1]s gives --redrive the customers", flags.sales, envOutbox)
		}
		return compare(nil)
	case a.where == "" && os.Getenv(envOutbox) == "":
		return usage("say what was sent: --outbox FILE, --outbox postgres://… or $%s; or --sales FILE, a list of sales, where there is no outbox", envOutbox)
	default:
		return a.withOutbox(ctx, compare)
	}
}

func (s *reconcileFlags) readDays(today time.Time) error {
	s.days = [2]time.Time{today.AddDate(0, 0, -7), today.AddDate(0, 0, -1)}
	for i, v := range []struct{ flag, day string }{{"--from", s.from}, {"--to", s.to}} {
		if v.day == "" {
			continue
		}
		day, err := time.Parse(time.DateOnly, v.day)
		if err != nil {
			return usage("%s %q: is not a day such as 2026-01-31", v.flag, v.day)
		}
		s.days[i] = day
	}
	if s.to == "" && s.days[1].Before(s.days[0]) { // --from is today or later
		s.days[1] = s.days[0]
	}
	from, to := s.days[0].Format(time.DateOnly), s.days[1].Format(time.DateOnly)
	switch span := s.days[1].Sub(s.days[0]); {
	case span < 0:
		return usage("--to %s: is before --from %s", to, from)
	case span > 3660*24*time.Hour: // as reconcile.Run
		return usage("--from %s: is more than ten years before --to %s", from, to)
	}
	return nil
}

// readSales opens the file of sales, if there is one. Rows that make no sale are counted, and the first ten are named on stderr.
func (a *app) readSales(ctx context.Context, flags reconcileFlags, refused *int) (iter.Seq2[reconcile.Sale, error], func(), error) {
	if flags.sales == "" {
		return nil, func() {}, nil
	}
	format, err := flags.read()
	if err != nil {
		return nil, nil, err
	}
	file, _, end, err := a.openFile(ctx, flags.sales)
	if err != nil {
		return nil, nil, err
	}
	sales, err := reconcile.File(file, format, func(r backfill.Row) {
		if errors.Is(r.Err, backfill.ErrZeroAmount) || errors.Is(r.Err, backfill.ErrUnpaid) {
			return // a free trial, an empty invoice or a failed payment needs nobody
		}
		if *refused++; *refused <= 10 {
			a.note("line %d makes no sale: %s", r.Line, rowReason(r.Err))
		}
	})
	if err != nil {
		end()
		return nil, nil, backfillError(err, backfill.Result{}, false)
	}
	return sales, end, nil
}

func (a *app) compare(ctx context.Context, client *firstpromoter.Client, box fprom.Outbox, sales iter.Seq2[reconcile.Sale, error], refused *int, flags reconcileFlags) error {
	o := reconcile.Options{Client: client, From: flags.days[0], To: flags.days[1], Outbox: box, Sales: sales, Full: flags.full, Decided: a.commissionStatus}
	if flags.redrive {
		t, err := fprom.New(fprom.Config{RequestsPerMinute: flags.rate, Logger: a.logger()})
		if err != nil {
			return credentialsError(err)
		}
		defer func() { _ = t.Shutdown(context.WithoutCancel(ctx)) }()
		o.Redrive = t.Track
		a.warned = func(text string) {
			if !strings.Contains(text, "knew this event id before its first attempt") { // it is sent again on purpose, and the report counts it
				a.note("%s", text)
			}
		}
	}
	p := a.progress("calls")
	p.set(0, 0, "reads what was sent")
	o.Progress = func(now reconcile.Progress) {
		left := math.Round(now.Left.Minutes() * float64(client.Rate()))
		p.set(int64(now.Calls), int64(now.Calls)+int64(left), fmt.Sprintf("%s: %d%s; %s read", now.Stage, now.Done, hint(now.Total > 0, fmt.Sprintf(" of %d", now.Total)), count(now.Rows, "commission")))
	}
	report, err := reconcile.Run(ctx, o)
	p.end()
	if !a.personal {
		maskIDs(report)
	}
	if err != nil && len(report.Days) == 0 {
		return err
	}
	if err != nil && report.Next != "" { // the next run does not look at these days again
		if flags.redrive && len(report.Missing) > 0 {
			a.note("the days before %s are compared, but nothing was sent again yet: run the same command again", report.Next)
		} else {
			a.note("the days before %s are compared; go on with --from %s", report.Next, report.Next)
		}
	}
	if err := errors.Join(err, a.show(report, func(w io.Writer) { reportText(w, report, *refused, box != nil) })); err != nil {
		return err
	}
	if box == nil && nothing(report, false) {
		a.note("nothing was compared: %s has no sale of %s to %s; name the days of its sales with --from and --to, or the column of their amounts with --map", flags.sales, flags.days[0].Format(time.DateOnly), flags.days[1].Format(time.DateOnly))
		return errNeedsPerson
	}
	if *refused > 0 {
		a.note("%s of %s made no sale: mend them, then compare again", count(*refused, "row"), flags.sales)
	}
	if *refused > 0 || !report.Clean() {
		return errNeedsPerson
	}
	return nil
}
