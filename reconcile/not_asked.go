package reconcile

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

// notAsked says what the outbox knows of a customer or an event while FirstPromoter cannot be asked.
func notAsked(ctx context.Context, outbox fprom.Outbox, what string) string {
	const most = 5
	text, known := "FirstPromoter could not be asked, so this is not final: ask again later.", map[string]bool{}
	for _, f := range []fprom.Filter{{Keys: []string{what}}, {Customer: what}} {
		for e, err := range outbox.Entries(ctx, f) {
			switch {
			case err != nil:
				return text + " The outbox could not be read either: " + safelog.Text(err)
			case known[e.Key]:
				continue
			case len(known) == most:
				return text + " There are more: fprom events --customer … shows them."
			}
			known[e.Key] = true
			text += " " + e.Key + " " + state(e) + "."
		}
	}
	if len(known) == 0 {
		text += " The outbox has no event by this name that waits or was given up; it forgets the customer of what is done."
	}
	return text
}

// state says how far an event has come, without a subject and a full stop.
func state(e fprom.Entry) string {
	reason := strings.TrimPrefix(safelog.WithoutName(strings.TrimSuffix(e.Reason, ".")), e.Key+": ")
	switch e.State {
	case fprom.StateWaiting:
		text := "is not delivered yet"
		if e.Attempts > 0 {
			text += ", after " + strconv.Itoa(e.Attempts) + " attempts"
		}
		if reason != "" {
			text += ": " + reason
		}
		return text
	case fprom.StateDead:
		return "was given up: " + reason + ". Mend the cause, then: fprom dead redrive " + e.Key
	default:
		return fmt.Sprintf("is done: %s; commissions in the answer: %d", e.Outcome, e.Commissions)
	}
}
