package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/currency"
	"github.com/fprom-go/fprom/internal/safelog"
)

// eventList is what events lists; in full, the text has all of each event.
func (a *app) eventList(full bool) list {
	l := list{
		name: "events", what: "event", absent: "not among the selected events: %s; the outbox forgets an event some time after its outcome, and a dropped one at once",
		object: func(e fprom.Entry) any { return a.eventOf(e) },
	}
	if full {
		l.text = a.eventText
	} else {
		l.columns, l.cells = eventColumns, a.eventCells
	}
	return l
}

var eventColumns = []string{"KEY", "STATE", "OUTCOME", "AMOUNT", "CUSTOMER", "RECORDED", "TRIES", "REASON"}

func (a *app) eventCells(e fprom.Entry) []string {
	return []string{
		e.Key, string(e.State), a.outcome(e), amount(e), e.Customer, stamp(e.RecordedAt), strconv.Itoa(e.Attempts), safelog.Shorten(because(e), 60),
	}
}

// eventText shows all of an event.
func (a *app) eventText(w io.Writer, e fprom.Entry) {
	row := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(w, "%-13s %s\n", name, clean(value))
		}
	}
	row("key", e.Key)
	row("kind", e.Kind)
	row("state", string(e.State))
	row("outcome", a.outcome(e))
	row("amount", amount(e))
	row("customer", e.Customer)
	row("bulk", hint(e.Bulk, "yes"))
	row("recorded", stamp(e.RecordedAt))
	row("settled", stamp(e.SettledAt))
	row("attempts", strconv.Itoa(e.Attempts))
	row("next attempt", stamp(e.NextAttempt))
	row("reason", because(e))
	row("last status", hint(e.StatusCode != 0, strconv.Itoa(e.StatusCode)))
	row("their id", hint(e.ID != 0, strconv.FormatInt(e.ID, 10)))
	row("commissions", a.commissions(e))
	row("damaged", hint(e.Damaged, "yes: it cannot be read, only dropped"))
}

// amount is the money of e in units of its currency.
func amount(e fprom.Entry) string {
	if e.Kind != fprom.KindSale && e.Kind != fprom.KindRefund {
		return ""
	}
	return currency.Format(e.Amount, e.Currency)
}

// because is why an event waits or is dead, without its key, which is shown beside it.
func because(e fprom.Entry) string { return safelog.Reason(e.Reason, e.Key) }
