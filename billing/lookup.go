package billing

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/fprom-go/fprom"
)

// Customer is what an application knows about a provider's customer. An empty field is unknown.
type Customer struct {
	Email, UID string // as in the customer's sign-up and sales
	TID        string // the visitor's tracking id
	RefID      string // a promoter's referral id
}

// Payment is what an application knows about an earlier payment. An empty field is unknown.
type Payment struct {
	SaleEventID string // the event id of the sale that reported the payment
	Email, UID  string // the customer, as in that sale
	Total, Tax  int64  // the charge including taxes, and these taxes, in the provider's minor units
	// Refunded is the sum of all earlier refunds, including taxes, in the provider's minor units. Only Lemon Squeezy needs it, whose
	// refunds carry the sum alone, and Dodo Payments, for a dispute of a payment that was refunded in part.
	Refunded int64
}

// Ledger lists the events of a durable queue with FirstPromoter's answers. An fprom.Outbox is a Ledger, such as the queues of
// boltqueue and riverqueue. See stripe.WithOutbox and lemonsqueezy.WithOutbox.
type Ledger interface {
	Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error]
}

// WithCustomer sets a function that looks up a provider's customer id. It is called if the payload has neither an e-mail address
// nor a uid, and for sales and sign-ups that have neither a tid nor a ref_id. Values of the payload are kept. f must return the
// e-mail address or uid of the customer's other events; the zero Customer means unknown. If f returns an error, the Handler answers
// 503. ctx is the request's context; Events and Explain pass context.Background().
func WithCustomer(f func(ctx context.Context, customerID string) (Customer, error)) Option {
	return func(c *config) { c.customer = f }
}

// WithPayment sets a function that looks up the payment that a refund or a dispute takes back: the event id of its sale, the
// customer, and the taxes. With the taxes, only the amount before taxes is taken back. The provider's package says which id f gets.
// The customer that f returns comes before the one in the metadata of the refund, but at Lemon Squeezy, Razorpay and Stripe after it.
// The zero Payment means unknown: a refund without a customer is skipped then, and is not sent again. So return an error for a payment
// that your database may know a moment later: webhooks come in any order. The Handler then answers 503, and the provider tries again.
func WithPayment(f func(ctx context.Context, paymentID string) (Payment, error)) Option {
	return func(c *config) { c.payment = f }
}

// Customer looks up the provider's customer id with WithCustomer, if no customer is set, or if a sale or a sign-up is not
// attributed. Fields that are set already stay.
func (d *Draft) Customer(id Text) {
	ask := d.p.config.customer
	attributable := d.kind == fprom.KindSale || d.kind == fprom.KindSignup
	if ask == nil || id.S == "" || d.p.err != nil || d.HasCustomer() && (d.Attributed() || !attributable) {
		return
	}
	known, err := ask(d.p.ctx, id.S)
	if err != nil {
		d.p.fail(fmt.Errorf("look up customer %s: %w", id.S, notPermanent(err)))
		return
	}
	from := "Customer(" + id.From + ")"
	if !d.HasCustomer() {
		d.Email(Text{known.Email, from})
		d.UID(Text{known.UID, from})
	}
	if !d.Attributed() {
		d.TID(Text{known.TID, from})
		d.RefID(Text{known.RefID, from})
	}
}

// Payment looks up the provider's payment id with WithPayment, and sets the customer and the event id of the sale if they are not
// set yet. It returns the payment's total and tax for BeforeTax.
func (d *Draft) Payment(id Text) (total, tax Int) {
	ask := d.p.config.payment
	if ask == nil || id.S == "" || d.p.err != nil {
		return Int{}, Int{}
	}
	known, err := ask(d.p.ctx, id.S)
	if err != nil {
		d.p.fail(fmt.Errorf("look up payment %s: %w", id.S, notPermanent(err)))
		return Int{}, Int{}
	}
	if known == (Payment{}) { // unknown, and so are earlier refunds
		return Int{}, Int{}
	}
	d.known = &known
	from := "Payment(" + id.From + ")"
	d.Email(Text{known.Email, from})
	d.UID(Text{known.UID, from})
	d.SaleID(Text{known.SaleEventID, from})
	if known.Total <= 0 {
		return Int{}, Int{}
	}
	return Int{known.Total, from + ".Total", true}, Int{known.Tax, from + ".Tax", true}
}

// Refunded returns the sum of earlier refunds that Payment has looked up.
func (d *Draft) Refunded() Int {
	if d.known == nil {
		return Int{}
	}
	return Int{d.known.Refunded, "Payment.Refunded", true}
}

// notPermanent hides that a lookup's error is permanent: only an error of the event itself is answered 422.
func notPermanent(err error) error {
	if fprom.IsPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}
