package fprom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Event is a Sale, a Refund, a Signup or a Cancellation. Pass it by value.
type Event interface {
	// Validate reports the first field that FirstPromoter would refuse, as a *ValidationError.
	Validate() error

	kind() string
	id() string // the event id, or the customer for kinds that have none
	customer() string
	money() (amount int64, currency string)
}

// Sale is one payment that the billing provider confirmed: a first, a one-time or a recurring charge. Report every
// non-zero one; FirstPromoter decides which came from a referral. Its JSON form is the body of
// https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/sale.
type Sale struct {
	// EventID is the provider's id of the payment (charge, invoice, order), never of the subscription or the customer:
	// two sales with one EventID are one commission. Required, at most 255 bytes.
	EventID string `json:"event_id"`
	// Email or UID names the customer; at least one is required. UID is the id given with the Signup. Use the same
	// ones in all events of a customer: events are kept in order by e-mail address, else by UID.
	Email string `json:"email,omitempty"`
	UID   string `json:"uid,omitempty"`
	// Amount is what was paid before taxes, in FirstPromoter's minor units: whole units of zero-decimal currencies such
	// as JPY, hundredths of all others (see ParseAmount, BeforeTax). Required, positive, at most 2^53-1.
	Amount int64 `json:"amount"`
	// Currency is an ISO 4217 code in any case. Empty: the account's default currency.
	Currency string `json:"currency,omitempty"`
	// Quantity is the number of items. 0 means 1.
	Quantity int `json:"quantity,omitempty"`
	// Plan is the provider's plan or price id, for rewards by plan.
	Plan string `json:"plan,omitempty"`
	// MRR is the monthly recurring revenue of the customer in the unit of Amount. 0: not reported.
	MRR int64 `json:"mrr,string,omitempty"`
	// PromoCode is the coupon used, for promoters with coupons.
	PromoCode string `json:"promo_code,omitempty"`
	// TID is the visitor id, the cookie _fprom_tid (the middleware fills it in). RefID is a promoter's referral id; a
	// visitor can forge it. Either creates the lead if there was no Signup.
	TID   string `json:"tid,omitempty"`
	RefID string `json:"ref_id,omitempty"`
	// SkipEmailNotification: FirstPromoter sends the promoter no mail about this event.
	SkipEmailNotification bool `json:"skip_email_notification,omitempty"`
}

// Refund takes back a Sale or a part of it. Its JSON form is the body of
// https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/refund, where amount and quantity are strings.
type Refund struct {
	EventID     string `json:"event_id"` // the refund's own id; may equal a sale's. Required
	Email       string `json:"email,omitempty"`
	UID         string `json:"uid,omitempty"`
	Amount      int64  `json:"amount,string"` // positive, as in Sale
	Currency    string `json:"currency,omitempty"`
	Quantity    int    `json:"quantity,string,omitempty"`
	SaleEventID string `json:"sale_event_id,omitempty"` // EventID of the sale refunded; needed where products or rewards differ

	SkipEmailNotification bool `json:"skip_email_notification,omitempty"`
}

// Signup creates the lead, and binds the customer to the promoter. Its JSON form is the body of
// https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/signup.
type Signup struct {
	Email     string    `json:"email,omitempty"` // Email or UID is required
	UID       string    `json:"uid,omitempty"`
	TID       string    `json:"tid,omitempty"` // TID or RefID is required; the middleware fills TID in from the cookie
	RefID     string    `json:"ref_id,omitempty"`
	IP        string    `json:"ip,omitempty"` // the visitor's address, for fraud analysis
	CreatedAt time.Time `json:"created_at,omitzero"`

	SkipEmailNotification bool `json:"skip_email_notification,omitempty"`
}

// Cancellation marks the customer as cancelled and lowers the MRR they generate. Its JSON form is the body of
// https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/cancellation.
type Cancellation struct {
	Email string `json:"email,omitempty"` // Email or UID is required
	UID   string `json:"uid,omitempty"`
}

// The kinds of Message, and the last element of the path they are posted to.
const (
	KindSale         = "sale"
	KindRefund       = "refund"
	KindSignup       = "signup"
	KindCancellation = "cancellation"
)

func (Sale) kind() string         { return KindSale }
func (Refund) kind() string       { return KindRefund }
func (Signup) kind() string       { return KindSignup }
func (Cancellation) kind() string { return KindCancellation }

func (e Sale) id() string         { return e.EventID }
func (e Refund) id() string       { return e.EventID }
func (e Signup) id() string       { return e.customer() }
func (e Cancellation) id() string { return e.customer() }

func (e Sale) customer() string         { return customerOf(e.Email, e.UID) }
func (e Refund) customer() string       { return customerOf(e.Email, e.UID) }
func (e Signup) customer() string       { return customerOf(e.Email, e.UID) }
func (e Cancellation) customer() string { return customerOf(e.Email, e.UID) }

func (e Sale) money() (int64, string)       { return e.Amount, e.Currency }
func (e Refund) money() (int64, string)     { return e.Amount, e.Currency }
func (Signup) money() (int64, string)       { return 0, "" }
func (Cancellation) money() (int64, string) { return 0, "" }

func customerOf(email, uid string) string {
	if email != "" {
		return strings.ToLower(email)
	}
	return uid
}

// Message is an event as it is stored and sent. Its JSON form is stable: queues may store it.
type Message struct {
	Key        string          `json:"key"`              // unique per event: kind and event id, or kind and customer
	Kind       string          `json:"kind"`             // one of the Kind constants
	Body       json.RawMessage `json:"body"`             // what is posted to FirstPromoter
	Customer   string          `json:"customer"`         // messages of one customer are delivered in the order they were put
	RecordedAt time.Time       `json:"recorded_at"`      // when the event was accepted
	Attempt    int             `json:"attempt,omitzero"` // number of this delivery, from 1; set by the queue
}

// NewMessage validates e and puts it into the form that is stored and sent, for queues that store inside a caller's
// transaction. RecordedAt is now. The error is a *ValidationError.
func NewMessage(e Event) (Message, error) {
	switch e.(type) {
	case Sale, Refund, Signup, Cancellation:
	default: // nil, a pointer or a struct around one of them
		return Message{}, errNoEvent
	}
	if err := e.Validate(); err != nil {
		return Message{}, err
	}
	kind := e.kind()
	return Message{Key: kind + ":" + e.id(), Kind: kind, Body: encode(e), Customer: e.customer(), RecordedAt: time.Now()}, nil
}

// Event is the event that m was made of (its currency in lower case).
func (m Message) Event() (Event, error) {
	var err error
	var e Event
	switch m.Kind {
	case KindSale:
		e, err = decode[Sale](m.Body)
	case KindRefund:
		e, err = decode[Refund](m.Body)
	case KindSignup:
		e, err = decode[Signup](m.Body)
	case KindCancellation:
		e, err = decode[Cancellation](m.Body)
	default:
		err = errors.New("unknown kind")
	}
	if err != nil {
		return nil, fmt.Errorf("fprom: stored message %s of kind %q: %w", m.name(), m.Kind, err)
	}
	return e, nil
}

func decode[E Event](body []byte) (Event, error) {
	var e E
	err := json.Unmarshal(body, &e)
	return e, err
}

// Digest is the same for two messages of one Key exactly if they ask for the same money: it covers amount and currency.
// Queues store it with the key to tell a redelivery from a conflict (ErrConflict). It never changes between releases.
func (m Message) Digest() uint64 {
	if m.Kind == KindSignup || m.Kind == KindCancellation {
		return digest(0, "")
	}
	if amount, currency, ok := scanMoney(m.Body); ok {
		return digest(amount, currency)
	}
	var f struct {
		Amount   json.RawMessage `json:"amount"`
		Currency string          `json:"currency"`
	}
	if json.Unmarshal(m.Body, &f) != nil {
		return 0
	}
	amount, _ := parseInt(strings.Trim(string(f.Amount), `"`))
	return digest(amount, f.Currency)
}

// scanMoney reads the amount and the currency of a body that encode made, without the cost of parsing JSON. Inside of a
// string the quotes that it looks for are escaped.
func scanMoney(body []byte) (amount int64, currency string, ok bool) {
	_, rest, ok := bytes.Cut(body, []byte(`,"amount":`))
	if !ok {
		return 0, "", false
	}
	rest = bytes.TrimPrefix(rest, []byte(`"`))
	n := 0
	for ; n < len(rest) && '0' <= rest[n] && rest[n] <= '9'; n++ {
		amount = amount*10 + int64(rest[n]-'0')
	}
	if _, code, found := bytes.Cut(rest[n:], []byte(`,"currency":"`)); found {
		if len(code) < 4 || code[3] != '"' {
			return 0, "", false
		}
		currency = string(code[:3])
	} else if bytes.Contains(body, []byte(`"currency"`)) {
		return 0, "", false
	}
	return amount, currency, 0 < n && n < 17 // more digits than a valid amount has could overflow
}

// digest is FNV-1a over the amount and the currency in lower case.
func digest(amount int64, currency string) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for i := range 8 {
		h = (h ^ uint64(byte(amount>>(8*i)))) * prime
	}
	for _, c := range []byte(wireCurrency(currency)) {
		h = (h ^ uint64(c)) * prime
	}
	return h
}

// name is Key without an e-mail address in clear, for logs and errors.
func (m Message) name() string {
	if m.Kind == KindSale || m.Kind == KindRefund {
		return m.Key
	}
	return m.Kind + ":" + maskEmail(m.Customer)
}

// maskEmail leaves the first letter of each side of an address: "j***@e***".
func maskEmail(s string) string {
	local, host, ok := strings.Cut(s, "@")
	if !ok {
		return s
	}
	first := func(s string) string {
		for _, r := range s {
			return string(r)
		}
		return ""
	}
	return first(local) + "***@" + first(host) + "***"
}

// validIP is here and not in validate.go's tables because only a Signup has an address.
func validIP(ip string) error {
	if ip == "" {
		return nil
	}
	if _, err := netip.ParseAddr(ip); err != nil {
		return &ValidationError{"IP", "is not an IP address"}
	}
	return nil
}
