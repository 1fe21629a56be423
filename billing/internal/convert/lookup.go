package convert

import (
	"errors"
	"fmt"

	"github.com/fprom-go/fprom"
)

// Customer asks the option Customer for the customer of the provider's id, if the payload named none, or if it is a sale
// or a sign-up without attribution. What the payload says is kept.
func (d *Draft) Customer(id Text) {
	ask := d.p.config.Customer
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

// Payment asks the option Payment for the payment of the provider's id, and takes the customer and the sale's event id
// from it, where they are not known. The totals of that payment are returned for BeforeTax.
func (d *Draft) Payment(id Text) (total, tax Int) {
	ask := d.p.config.Payment
	if ask == nil || id.S == "" || d.p.err != nil {
		return Int{}, Int{}
	}
	known, err := ask(d.p.ctx, id.S)
	if err != nil {
		d.p.fail(fmt.Errorf("look up payment %s: %w", id.S, notPermanent(err)))
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

// Refunded is what was given back before, if the option Payment was asked.
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
