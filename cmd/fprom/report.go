package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/currency"
	"github.com/fprom-go/fprom/reconcile"
)

// reportText shows what a comparison found, and how to mend it. refused is the number of rows that make no sale.
func reportText(w io.Writer, r reconcile.Report, refused int, outbox bool) {
	writeTable(w, []string{"DAY", "OURS", "THEIRS", "TOTALS"}, r.Days, func(d reconcile.Day) []string {
		return []string{d.Day, strconv.Itoa(d.Ours), strconv.Itoa(d.Theirs), map[bool]string{true: "agree", false: "differ"}[d.Ours == d.Theirs]}
	})
	_, _ = fmt.Fprintf(w, "matched %d, no commission %d, not a referral %d%s%s; %s\n", r.Matched, r.NoCommission, r.NotReferral, hint(outbox, fmt.Sprintf(", waiting %d", r.Waiting)), hint(r.Dead > 0, fmt.Sprintf(" (%d given up)", r.Dead)), count(r.Calls, "call"))
	tables := false
	for _, c := range []struct {
		name    string
		entries []reconcile.Entry
	}{{"missing", r.Missing}, {"foreign", r.Foreign}, {"amount differs", r.AmountDiffers}, {"doubled", r.Doubled}, {"denied", r.Denied}} {
		entriesText(w, c.name, c.entries)
		tables = tables || len(c.entries) > 0
	}
	if tables {
		_, _ = fmt.Fprintln(w)
	}
	if d := r.Redriven; d != nil && len(r.Missing) > 0 {
		_, _ = fmt.Fprintf(w, "sent again: %d tracked, %d duplicate, %d not a referral, %d failed, %d without a customer\n", d.Tracked, d.Duplicate, d.NotReferral, d.Failed, d.NoCustomer)
	}
	for _, line := range r.Advice() {
		_, _ = fmt.Fprintf(w, "→ %s\n", clean(line))
	}
	if r.Unidentified > 0 {
		_, _ = fmt.Fprintf(w, "%s without a sale of ours: without an event id, older than the outbox, or of refunds that the list does not have. See Commissions in FirstPromoter\n", count(r.Unidentified, "commission"))
	}
	switch {
	case r.Next != "":
	case nothing(r, outbox):
		_, _ = fmt.Fprintln(w, "no sale of ours is in these days; --from and --to name other days, also today")
	case r.Clean() && refused == 0:
		_, _ = fmt.Fprintf(w, "all is as it should be%s%s\n", hint(r.Unidentified > 0, ", but for these commissions"), hint(outbox && r.Waiting > 0, fmt.Sprintf("; %s not delivered yet, see fprom status", count(r.Waiting, "event"))))
	}
}

// nothing reports whether no sale was compared. A list's rows that make no sale count as waiting.
func nothing(r reconcile.Report, outbox bool) bool {
	if !outbox {
		r.Waiting = 0
	}
	return r.Empty()
}

// maskIDs replaces each event id that contains an address by the hash that fprom events shows.
func maskIDs(r reconcile.Report) {
	for _, entries := range [][]reconcile.Entry{r.Missing, r.Foreign, r.AmountDiffers, r.Doubled, r.Denied} {
		for i, e := range entries {
			entries[i].EventID = strings.TrimPrefix(fprom.SafeKey(":"+e.EventID), ":")
		}
	}
}

func entriesText(w io.Writer, name string, all []reconcile.Entry) {
	const most = 20
	if len(all) == 0 {
		return
	}
	_, _ = fmt.Fprintf(w, "\n%s: %d\n", name, len(all))
	columns := []string{"EVENT", "KIND", "AMOUNT", "THEIRS", "SETTLED", "COMMISSIONS"}
	writeTable(w, columns, all[:min(len(all), most)], func(e reconcile.Entry) []string {
		theirs := ""
		if e.TheirAmount != 0 {
			theirs = currency.Format(e.TheirAmount, e.TheirCurrency)
		}
		return []string{
			e.EventID, e.Kind, currency.Format(e.Amount, e.Currency), theirs, stamp(e.SettledAt), strings.Trim(fmt.Sprint(e.CommissionIDs), "[]"),
		}
	})
	if len(all) > most {
		_, _ = fmt.Fprintf(w, "… and %d more; -o json has all\n", len(all)-most)
	}
}
