package fprom

import (
	"encoding/json"
	"strings"
)

// clean returns e without what can only harm it: blanks around the e-mail address and the ids of the referral, and an id
// that is a word such as "null". Losing the sale for it would help nobody.
func clean(e Event) (Event, error) {
	switch e := e.(type) {
	case Sale:
		e.Email, e.TID, e.RefID = strings.TrimSpace(e.Email), cleanID(e.TID), cleanID(e.RefID)
		return e, nil
	case Refund:
		e.Email = strings.TrimSpace(e.Email)
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

func cleanID(s string) string {
	s = strings.TrimSpace(s)
	if noID(s) {
		return ""
	}
	return s
}

// encode returns the wire form of e.
func encode(e Event) json.RawMessage {
	switch s := e.(type) {
	case Sale:
		s.Currency = wireCurrency(s.Currency)
		e = s
	case Refund:
		s.Currency = wireCurrency(s.Currency)
		e = s
	}
	body, _ := json.Marshal(e) // texts and numbers; Validate has seen to CreatedAt
	return body
}
