package fprom

import "encoding/json"

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
