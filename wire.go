package fprom

import (
	"strings"

	"github.com/fprom-go/fprom/internal/currency"
)

// clean returns e as it is sent, with the currency in lower case as FirstPromoter's examples have it, and without what can
// only harm it: blanks around the e-mail address and the ids of the referral, and an id that is a word such as "null".
// Losing the sale for it would help nobody.
func clean(event Event) (Event, error) {
	switch e := event.(type) {
	case Sale:
		if c := e.clean(); c != e {
			return c, nil
		}
		return event, nil
	case Refund:
		e.Email, e.Currency = strings.TrimSpace(e.Email), cleanCurrency(e.Currency)
		return e, nil
	case Signup:
		e.Email, e.TID, e.RefID = strings.TrimSpace(e.Email), cleanID(e.TID), cleanID(e.RefID)
		return e, nil
	case Cancellation:
		e.Email = strings.TrimSpace(e.Email)
		return e, nil
	default: // nil, a pointer or a struct around one of them
		return nil, errNoEvent
	}
}

func (e Sale) clean() Sale {
	e.Email, e.TID, e.RefID, e.Currency = strings.TrimSpace(e.Email), cleanID(e.TID), cleanID(e.RefID), cleanCurrency(e.Currency)
	return e
}

func cleanID(s string) string {
	s = strings.TrimSpace(s)
	if noID(s) {
		return ""
	}
	return s
}

// cleanCurrency leaves an unknown code to Validate.
func cleanCurrency(code string) string {
	if c, ok := currency.Lookup(code); ok {
		return c.Code
	}
	return code
}
