package fprom

import "time"

// Event is a Sale, a Refund, a Signup or a Cancellation. Pass it by value.
type Event interface {
	// Validate reports the first field that FirstPromoter would refuse, as a *ValidationError.
	Validate() error

	isEvent()
}

// Sale is one payment that the billing provider confirmed: a first, a one-time or a recurring charge. Report every
// non-zero one; FirstPromoter decides which came from a referral. Its JSON form is the body of
// https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/sale.
type Sale struct {
	// EventID is the provider's id of the payment (charge, invoice, order), never of the subscription or the customer:
	// two sales with one EventID are one commission. Required, at most 255 bytes.
	EventID string `json:"event_id"`
	// Email or UID names the customer; at least one is required. UID is the id given with the Signup. Use the same
	// ones in all events of a customer: events with the same address are delivered in order, or without one with the same UID.
	// Blanks around an e-mail address are removed.
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
	// TID is the visitor id, from the cookie _fprom_tid (the middleware fills it in). RefID is a promoter's referral id; a
	// visitor can forge it. Each of them creates the lead if there was no Signup.
	TID   string `json:"tid,omitempty"`
	RefID string `json:"ref_id,omitempty"`
	// SkipEmailNotification tells FirstPromoter to send the promoter no mail about this event.
	SkipEmailNotification bool `json:"skip_email_notification,omitempty"`
}

// Refund takes back a Sale or a part of it. Its JSON form is the body of
// https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/refund, where amount and quantity are strings.
type Refund struct {
	EventID     string `json:"event_id"`        // the refund's own id; may equal a sale's. Required
	Email       string `json:"email,omitempty"` // Email or UID is required, as in the Sale
	UID         string `json:"uid,omitempty"`
	Amount      int64  `json:"amount,string"`             // positive, before taxes, in the unit of Sale.Amount. Required
	Currency    string `json:"currency,omitempty"`        // as in Sale
	Quantity    int    `json:"quantity,string,omitempty"` // items refunded; 0 means 1
	SaleEventID string `json:"sale_event_id,omitempty"`   // EventID of its sale, which is sent first. Needed where products or rewards differ

	SkipEmailNotification bool `json:"skip_email_notification,omitempty"`
}

// Signup creates the lead, and binds the customer to the promoter. Its JSON form is the body of
// https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/signup.
type Signup struct {
	Email     string    `json:"email,omitempty"` // Email or UID is required
	UID       string    `json:"uid,omitempty"`   // the customer's id in your application
	TID       string    `json:"tid,omitempty"`   // TID or RefID is required; the middleware fills TID in from the cookie
	RefID     string    `json:"ref_id,omitempty"`
	IP        string    `json:"ip,omitempty"`        // the visitor's address, for fraud analysis
	CreatedAt time.Time `json:"created_at,omitzero"` // when the customer signed up; zero: not sent

	SkipEmailNotification bool `json:"skip_email_notification,omitempty"`
}

// Cancellation marks the customer as cancelled and lowers the MRR they generate. Its JSON form is the body of
// https://docs.firstpromoter.com/api-reference-v2/api-admin/tracking-api/cancellation.
type Cancellation struct {
	Email string `json:"email,omitempty"` // Email or UID is required
	UID   string `json:"uid,omitempty"`
}

// The kinds of events. A kind is also the last element of the URL path of a call.
const (
	KindSale         = "sale"
	KindRefund       = "refund"
	KindSignup       = "signup"
	KindCancellation = "cancellation"
)

func (Sale) isEvent()         {}
func (Refund) isEvent()       {}
func (Signup) isEvent()       {}
func (Cancellation) isEvent() {}
