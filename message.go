package fprom

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/fprom-go/fprom/internal/backlog"
	"github.com/fprom-go/fprom/internal/currency"
)

// Message is an event as it is stored and sent. Its JSON form is stable: queues may store it.
type Message struct {
	Key        string          `json:"key"`              // unique per event: kind and event id, or kind and customer
	Kind       string          `json:"kind"`             // one of the Kind constants
	Body       json.RawMessage `json:"body"`             // what is posted to FirstPromoter
	Customer   string          `json:"customer"`         // messages of one customer are delivered in the order they were put
	RecordedAt time.Time       `json:"recorded_at"`      // when the event was accepted
	Attempt    int             `json:"attempt,omitzero"` // number of this delivery, from 1; set by the queue
	// Digest is a hash of amount and currency. Queues keep it with the Key: a message with the same Key and Digest is a
	// repeat, one with another Digest a conflict (ErrConflict). It never changes between releases.
	Digest uint64 `json:"digest"`
	// Bulk messages are delivered after all live ones, except that no event overtakes an earlier one of its customer.
	Bulk bool `json:"bulk,omitzero"`
}

// NewMessage validates e and returns it in the form that is stored and sent, with RecordedAt now. It removes blanks around
// the e-mail address, TID and RefID, and a TID or RefID that is a word such as "null". The error is a *ValidationError.
// Enqueue does all this; NewMessage is for queues that store inside a caller's transaction.
func NewMessage(e Event) (Message, error) { return newMessage(e, Attribution{}) }

// newMessage is NewMessage with an attribution that fills in an empty TID and RefID.
func newMessage(e Event, a Attribution) (m Message, err error) {
	switch s := e.(type) {
	case Sale:
		a.Apply(&s)
		e, m = &s, messageOf(KindSale, s.EventID, &s.Email, s.UID, s.Amount, &s.Currency)
	case Refund:
		e, m = &s, messageOf(KindRefund, s.EventID, &s.Email, s.UID, s.Amount, &s.Currency)
	case Signup:
		a.Apply(&s)
		e, m = &s, messageOf(KindSignup, "", &s.Email, s.UID, 0, new(""))
	case Cancellation:
		e, m = &s, messageOf(KindCancellation, "", &s.Email, s.UID, 0, new(""))
	default: // nil, and types that embed or point to an event
		return m, &ValidationError{"Event", "is not a Sale, Refund, Signup or Cancellation, passed by value"}
	}
	if err := e.Validate(); err != nil {
		return Message{}, err
	}
	m.RecordedAt = time.Now()
	m.Body, err = json.Marshal(e)
	return m, err
}

// messageOf returns the fields that all kinds of events fill in, and brings *email and *code into the form that is sent. id is
// empty for kinds without one. Digest is FNV-1a. The strings are copied, since Fiber reuses the memory of a request.
func messageOf(kind, id string, email *string, uid string, amount int64, code *string) Message {
	*email = strings.TrimSpace(*email)
	if c, known := currency.Lookup(*code); known { // Validate refuses an unknown one
		*code = c.Code // in lower case, as in FirstPromoter's examples
	}
	customer := strings.Clone(backlog.Customer(cmp.Or(*email, uid)))
	digest := fnv.New64a()
	_, _ = digest.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(amount)), *code...))
	return Message{Key: kind + ":" + cmp.Or(id, customer), Kind: kind, Customer: customer, Digest: digest.Sum64()}
}

// Event returns the event that m was made of, with its currency in lower case. The error says that m cannot be read.
func (m Message) Event() (Event, error) {
	switch m.Kind {
	case KindSale:
		return decode[Sale](m)
	case KindRefund:
		return decode[Refund](m)
	case KindSignup:
		return decode[Signup](m)
	case KindCancellation:
		return decode[Cancellation](m)
	}
	return nil, fmt.Errorf("fprom: stored message %s: unknown kind %q", SafeKey(m.Key), m.Kind)
}

func decode[E Event](m Message) (Event, error) {
	var e E
	if err := json.Unmarshal(m.Body, &e); err != nil {
		return nil, fmt.Errorf("fprom: stored message %s: %w", SafeKey(m.Key), err)
	}
	return e, nil
}

// Money returns the amount and the currency of a sale or a refund. Both are zero for other kinds, and if m cannot be read.
func (m Message) Money() (amount int64, currency string) {
	switch e, _ := m.Event(); e := e.(type) {
	case Sale:
		return e.Amount, e.Currency
	case Refund:
		return e.Amount, e.Currency
	}
	return 0, ""
}

// Repeats reports whether the Key is free for a new event as soon as the event before has its outcome. Cancellations
// repeat: they have no event id, and a customer can cancel more than once.
func (m Message) Repeats() bool { return m.Kind == KindCancellation }
