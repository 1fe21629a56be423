package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

// notAsked says what the outbox knows of a customer or an event while FirstPromoter cannot be asked.
func notAsked(ctx context.Context, outbox fprom.Outbox, what string) string {
	return "FirstPromoter could not be asked, so this is not final: ask again later." +
		cmp.Or(inOutbox(ctx, outbox, fprom.Filter{Keys: []string{what}}, fprom.Filter{Customer: what}),
			" The outbox has no event by this name that waits or was given up; it forgets the customer of what is done.")
}

// inOutbox says how far the events of the filters have come. It is empty if there are none.
func inOutbox(ctx context.Context, outbox fprom.Outbox, filters ...fprom.Filter) (text string) {
	const most = 5
	known := map[string]bool{}
	for _, f := range filters {
		for e, err := range outbox.Entries(ctx, f) {
			switch {
			case err != nil:
				return text + " The outbox could not be read: " + safelog.Text(err)
			case known[e.Key]:
				continue
			case len(known) == most:
				return text + " There are more: fprom events --customer … shows them."
			}
			known[e.Key] = true
			text += " " + e.Key + " " + state(e) + "."
		}
	}
	return text
}

// state says how far an event has come, without a subject and a full stop.
func state(e fprom.Entry) string {
	reason := strings.TrimSuffix(safelog.Reason(e.Reason, e.Key), ".")
	switch e.State {
	case fprom.StateWaiting:
		text := "is not delivered yet"
		if e.Attempts > 0 {
			text += " (attempts: " + strconv.Itoa(e.Attempts) + ")"
		}
		if reason != "" {
			text += ": " + reason
		}
		return text
	case fprom.StateDead:
		return "was given up: " + reason + ". Mend the cause, then: fprom dead redrive " + safelog.Word(e.Key)
	default:
		return fmt.Sprintf("is done: %s; commissions in the answer: %d", e.Outcome, e.Commissions)
	}
}
