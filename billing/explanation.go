package billing

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/fprom-go/fprom"
)

// Reason says why an event of a provider was skipped.
type Reason string

// The reasons.
const (
	NotMoney    Reason = "not-money"    // no payment, refund or cancellation
	OtherEvent  Reason = "other-event"  // the same money is reported by another event of the provider
	NotFinal    Reason = "not-final"    // pending, failed or not ended: another event follows if money moves
	NothingPaid Reason = "nothing-paid" // the amount before taxes is zero: a trial, a full discount, credit
	TestMode    Reason = "test-mode"    // a payload of test mode (see WithTestMode)
	NoCustomer  Reason = "no-customer"  // money moved, but the payload does not name the customer: a commission may be lost
	ByHand      Reason = "by-hand"      // money moved, but the payload does not say enough, or FirstPromoter has no event for it: enter it by hand
)

// MayLose reports whether a commission may be lost by the skip: somebody must look at it.
func (r Reason) MayLose() bool { return r == NoCustomer || r == ByHand }

// Field is one field of an event, with its origin.
type Field struct {
	Name  string // FirstPromoter's name, such as "event_id"
	Value string // e-mail addresses are masked
	From  string // a path in the payload, or a formula with paths
}

// Tracked is one event with the origin of its fields.
type Tracked struct {
	Event  fprom.Event
	Fields []Field
}

// Explanation says what was made of one event of a provider, and why.
type Explanation struct {
	Provider string
	Type     string    // the provider's type of event
	ID       string    // the provider's id of the event
	Tracked  []Tracked // in the order of enqueueing
	Skipped  Reason    // why nothing was tracked; empty if something was tracked, or if Err is set
	Detail   string    // explains Skipped
	Err      error     // the payload is wrong, the lookup of an option failed, or an event was not accepted
	// More holds the second and all further events of a body (see Provider.Batch). Err is then the first error of all events.
	More []Explanation

	again bool // Payload.ConvertAgain
}

// join makes one explanation of those of one body.
func join(xs []Explanation) Explanation {
	x := xs[0]
	x.More = xs[1:]
	for _, m := range x.More {
		x.Err = cmp.Or(x.Err, m.Err)
	}
	return x
}

// Events returns all events, with those of More.
func (x Explanation) Events() []fprom.Event {
	var events []fprom.Event
	for _, t := range x.Tracked {
		events = append(events, t.Event)
	}
	for _, m := range x.More {
		events = append(events, m.Events()...)
	}
	return events
}

// String returns a text for people, with one line for each field.
func (x Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", x.Provider, cmp.Or(x.Type, "-"), cmp.Or(x.ID, "-"))
	switch {
	case x.Err != nil:
		fmt.Fprintf(&b, "  error: %v\n", x.Err)
	case len(x.Tracked) == 0:
		fmt.Fprintf(&b, "  nothing tracked (%s): %s\n", x.Skipped, x.Detail)
	}
	for _, t := range x.Tracked {
		fmt.Fprintf(&b, "  %s\n", kindOf(t.Event))
		for _, f := range t.Fields {
			fmt.Fprintf(&b, "    %-13s = %-26s ← %s\n", f.Name, f.Value, f.From)
		}
	}
	for _, m := range x.More {
		b.WriteString(m.String())
	}
	return b.String()
}

func kindOf(e fprom.Event) string {
	switch e.(type) {
	case fprom.Sale:
		return fprom.KindSale
	case fprom.Refund:
		return fprom.KindRefund
	case fprom.Signup:
		return fprom.KindSignup
	default:
		return fprom.KindCancellation
	}
}
