package billing

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/fprom-go/fprom"
)

// Customer is what an application knows of a provider's customer. Empty fields are unknown.
type Customer struct {
	Email, UID string // as in the customer's sign-up and sales
	TID        string // the visitor's tracking id
	RefID      string // a promoter's referral id
}

// Payment is what an application knows of an earlier payment. Empty fields are unknown.
type Payment struct {
	SaleEventID string // the event id with which the payment was reported
	Email, UID  string // the customer, as in that sale
	Total, Tax  int64  // what was charged with taxes, and the taxes in it, in the provider's minor units
	// Refunded is what was given back before this refund, with taxes, in the provider's minor units: for providers
	// whose refunds only tell the sum (Lemon Squeezy).
	Refunded int64
}

// Ledger knows which events were reported before, and what FirstPromoter said. An fprom.Outbox is one: the queues of
// boltqueue and riverqueue are. Some packages of providers have an option for it.
type Ledger interface {
	Entries(ctx context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error]
}

// WithCustomer asks f what is known of a provider's customer id, where the payload names the customer no other way, and
// for sales that carry neither a tid nor a ref_id, so that those in the metadata of the provider's customer count. What
// the payload says is kept. Give the e-mail address or uid that the customer's sales are reported with. An error makes
// the Handler answer 503; the zero Customer means unknown. The request's context bounds it; Events and Explain use the
// background.
func WithCustomer(f func(ctx context.Context, customerID string) (Customer, error)) Option {
	return func(c *config) { c.customer = f }
}

// WithPayment asks f what is known of the payment that a refund or a dispute takes back: the sale's event id, the
// customer, and the taxes, so that only the part before taxes is taken back. Which id f is asked with is said by the
// package of the provider. An error makes the Handler answer 503; the zero Payment means unknown.
func WithPayment(f func(ctx context.Context, paymentID string) (Payment, error)) Option {
	return func(c *config) { c.payment = f }
}

// Customer asks the option WithCustomer for the customer of the provider's id, if the payload named none, or if it is a
// sale or a sign-up without attribution. What the payload says is kept.
func (d *Draft) Customer(id Text) {
	ask := d.p.config.customer
	brings := d.kind == fprom.KindSale || d.kind == fprom.KindSignup
	if ask == nil || id.S == "" || d.p.err != nil || d.HasCustomer() && (d.Attributed() || !brings) {
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

// Payment asks the option WithPayment for the payment of the provider's id, and takes the customer and the sale's event
// id from it, where they are not known. The totals of that payment are returned for BeforeTax.
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
	if known == (Payment{}) { // unknown: nothing is known of earlier refunds either
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

// Refunded is what was given back before, if the option WithPayment was asked.
func (d *Draft) Refunded() Int {
	if d.known == nil {
		return Int{}
	}
	return Int{d.known.Refunded, "Payment.Refunded", true}
}

// notPermanent keeps a lookup's error from looking like a verdict on the event.
func notPermanent(err error) error {
	if fprom.IsPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}
