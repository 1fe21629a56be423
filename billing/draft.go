package billing

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/money"
)

// Draft is an event that is being filled in; Add tracks it. It holds the fields of every kind: those that its kind does
// not have are left out. Of each field the first value given counts.
type Draft struct {
	p      *Payload
	kind   string
	e      fprom.Sale
	saleID string
	amount Int
	known  *Payment // what the option WithPayment said
	fields []Field
}

// Sale begins a sale.
func (p *Payload) Sale() *Draft { return &Draft{p: p, kind: fprom.KindSale} }

// Refund begins a refund.
func (p *Payload) Refund() *Draft { return &Draft{p: p, kind: fprom.KindRefund} }

// Cancellation begins a cancellation.
func (p *Payload) Cancellation() *Draft { return &Draft{p: p, kind: fprom.KindCancellation} }

// Signup begins a sign-up.
func (p *Payload) Signup() *Draft { return &Draft{p: p, kind: fprom.KindSignup} }

func (d *Draft) set(name string, field *string, t Text) {
	if *field == "" && t.S != "" {
		*field = t.S
		d.note(name, t.S, t.From)
	}
}

func (d *Draft) note(name, value, from string) { d.fields = append(d.fields, Field{name, value, from}) }

func (d *Draft) forget(name string, field *string) {
	*field = ""
	for i := range d.fields {
		if d.fields[i].Name == name {
			d.fields[i] = Field{name, "", d.fields[i].From + " (not usable: left out)"}
		}
	}
}

// ID is the event id: of the payment or the refund.
func (d *Draft) ID(t Text) { d.set("event_id", &d.e.EventID, t) }

// SaleID is the event id of the sale that is refunded.
func (d *Draft) SaleID(t Text) { d.set("sale_event_id", &d.saleID, t) }

// Email is the customer's address; the first one given counts. Something that is no address is left out.
func (d *Draft) Email(t Text) {
	if d.e.Email == "" && (fprom.Cancellation{Email: t.S}).Validate() == nil {
		d.e.Email = t.S
		d.note("email", mask(t.S), t.From)
	}
}

// UID is the customer's id in the application; the first one given counts.
func (d *Draft) UID(t Text) {
	if (fprom.Cancellation{UID: t.S}).Validate() == nil {
		d.set("uid", &d.e.UID, t)
	}
}

// TID is the visitor's tracking id; the first one given counts.
func (d *Draft) TID(t Text) { d.set("tid", &d.e.TID, t) }

// RefID is a promoter's referral id; the first one given counts.
func (d *Draft) RefID(t Text) { d.set("ref_id", &d.e.RefID, t) }

// Plan is the provider's plan or price id; the first one given counts.
func (d *Draft) Plan(t Text) { d.set("plan", &d.e.Plan, t) }

// PromoCode is the coupon; the first one given counts.
func (d *Draft) PromoCode(t Text) { d.set("promo_code", &d.e.PromoCode, t) }

// Quantity is the number of items; less than 1 is left out.
func (d *Draft) Quantity(i Int) {
	if d.e.Quantity == 0 && i.N > 0 && i.N < 1<<31 {
		d.e.Quantity = int(i.N)
		d.note("quantity", strconv.Itoa(d.e.Quantity), i.From)
	}
}

// Metadata takes what the application put into the provider's metadata (WithKeys); the first node that has a key
// counts. Call it before Email, UID, Plan and PromoCode are taken from elsewhere.
func (d *Draft) Metadata(nodes ...Node) {
	k := d.p.config.keys
	for _, n := range nodes {
		get := func(key string) Text {
			if key == "" {
				return Text{}
			}
			at := n.Key(key)
			if t := at.text(); t.S != "" {
				return t
			}
			return at.Text("value") // RevenueCat's attributes are objects
		}
		d.Email(get(k.Email))
		d.UID(get(k.UID))
		d.Plan(get(k.Plan))
		d.PromoCode(get(k.PromoCode))
		d.TID(get(k.TID))
		d.RefID(get(k.RefID))
	}
}

// HasCustomer reports whether the customer is known.
func (d *Draft) HasCustomer() bool { return d.e.Email != "" || d.e.UID != "" }

// Attributed reports whether a tid or a ref_id is known.
func (d *Draft) Attributed() bool { return d.e.TID != "" || d.e.RefID != "" }

// Minor is the money before taxes in the minor units of ISO 4217, as most providers have them.
func (d *Draft) Minor(n Int, currency Text) {
	digits, _ := money.ISOExponent(currency.S)
	d.Amount(n, currency, digits)
}

// Amount is the money before taxes in the provider's minor units, which have so many decimal digits. For amounts in
// units of the currency, such as 19.99, read them with Node.Decimal and the digits that Payload.Exponent says.
func (d *Draft) Amount(n Int, currency Text, digits int) {
	want, ok := d.p.Exponent(currency.S)
	if !ok {
		d.p.Fail(cmp.Or(currency.From, "currency"), "is missing or not an ISO 4217 code")
		return
	}
	d.amount = n
	d.e.Amount = money.Rescale(n.N, digits, want)
	if digits != want {
		n.From = group(n.From) + fmt.Sprintf(", from %d to %d decimal digits", digits, want)
	}
	d.note("amount", strconv.FormatInt(d.e.Amount, 10), n.From)
	d.set("currency", &d.e.Currency, currency)
}

// Add tracks the event, or says why not: with an amount of zero or less it is skipped, as is a sign-up without a tid and a
// ref_id, and an event without a customer. A sale or refund without an amount fails the payload.
func (d *Draft) Add() {
	money := d.kind == fprom.KindSale || d.kind == fprom.KindRefund
	switch {
	case d.p.err != nil:
		return
	case money && !d.amount.OK:
		d.p.Fail("amount", "is missing in the payload")
		return
	case money && d.e.Amount <= 0:
		d.p.Skip(NothingPaid, "the amount before taxes is "+strconv.FormatInt(d.amount.N, 10)+" ("+d.amount.From+")")
		return
	case d.kind == fprom.KindSignup && !d.Attributed():
		d.p.Skip(NothingPaid, "nothing was paid, and neither a tid nor a ref_id makes it a sign-up")
		return
	case !d.HasCustomer():
		d.p.Skip(NoCustomer, "neither e-mail address nor uid: put "+d.p.config.keys.UID+" into the metadata at checkout, or use an option that looks the customer up")
		return
	}
	e := d.event()
	if err := e.Validate(); err != nil {
		d.p.fail(err)
		return
	}
	d.p.out.Tracked = append(d.p.out.Tracked, Tracked{e, d.trace()})
}
