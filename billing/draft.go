package billing

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/money"
)

// Draft is an event while its fields are set. Add finishes it. A Draft has the fields of every kind of event; Add leaves out
// those that its own kind does not have. If a field is set twice, the first value stays.
type Draft struct {
	p      *Payload
	kind   string
	e      fprom.Sale
	saleID string
	amount Int
	known  *Payment // the answer of WithPayment; nil if there is none
	fields []Field
}

// Sale begins a sale.
func (p *Payload) Sale() *Draft { return &Draft{p: p, kind: fprom.KindSale} }

// SaleOrSignup begins a sale. If total, which was paid, is zero, and WithTrialSignups is set, it begins a sign-up.
func (p *Payload) SaleOrSignup(total Int) *Draft {
	if total.OK && total.N == 0 && p.config.signups {
		return p.Signup()
	}
	return p.Sale()
}

// Trial reports a sign-up with WithTrialSignups, when a trial or an unpaid subscription begins: fill sets the customer. Without that
// option it skips the payload with the reason NothingPaid.
func (p *Payload) Trial(detail string, fill func(*Draft)) {
	if !p.config.signups {
		p.Skip(NothingPaid, detail)
		return
	}
	d := p.Signup()
	fill(d)
	d.Add()
}

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

// ID sets the event id: the id of the payment or of the refund.
func (d *Draft) ID(t Text) { d.set("event_id", &d.e.EventID, t) }

// SaleID sets the event id of the sale that a refund belongs to.
func (d *Draft) SaleID(t Text) { d.set("sale_event_id", &d.saleID, t) }

// RenameSale replaces the event id of the sale that a refund belongs to, if it is known, by what f makes of it. It is for a Provider
// that sends some sales under another id than the application knows.
func (d *Draft) RenameSale(f func(id string) string) {
	for i := range d.fields {
		if d.fields[i].Name == "sale_event_id" {
			d.saleID = f(d.saleID)
			d.fields[i].Value = d.saleID
		}
	}
}

// Email sets the customer's e-mail address. A text that is not an address is left out.
func (d *Draft) Email(t Text) {
	if d.e.Email == "" && (fprom.Cancellation{Email: t.S}).Validate() == nil {
		d.e.Email = t.S
		d.note("email", fprom.MaskEmail(t.S), t.From)
	}
}

// UID sets the customer's id in the application. UID, TID and RefID leave out a word that stands for no id, such as "null".
func (d *Draft) UID(t Text) {
	if (fprom.Cancellation{UID: t.S}).Validate() == nil {
		d.set("uid", &d.e.UID, realID(t))
	}
}

// TID sets the visitor's tracking id.
func (d *Draft) TID(t Text) { d.set("tid", &d.e.TID, realID(t)) }

// RefID sets a promoter's referral id.
func (d *Draft) RefID(t Text) { d.set("ref_id", &d.e.RefID, realID(t)) }

// realID returns t, or nothing if it is a word that package fprom does not take for an id.
func realID(t Text) Text {
	e := fprom.Sale{TID: t.S}
	fprom.Attribution{}.Apply(&e)
	if e.TID == "" {
		return Text{}
	}
	return t
}

// Plan sets the provider's plan or price id.
func (d *Draft) Plan(t Text) { d.set("plan", &d.e.Plan, t) }

// PromoCode sets the coupon.
func (d *Draft) PromoCode(t Text) { d.set("promo_code", &d.e.PromoCode, t) }

// Quantity sets the number of items. A value that is not a whole number above zero is left out.
func (d *Draft) Quantity(n Node) {
	t := n.text()
	if q, _ := money.ParseDecimal(t.S, 0); d.e.Quantity == 0 && q > 0 && q < 1<<31 {
		d.e.Quantity = int(q)
		d.note("quantity", strconv.Itoa(d.e.Quantity), t.From)
	}
}

// Metadata sets the fields that the application has put into the provider's metadata (see WithKeys). If several nodes have a key,
// the first one counts. Call Metadata before Email, UID, Plan and PromoCode, so that its values win, and after Payment, which knows
// the customer of the sale.
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
			return at.Text("value") // RevenueCat: {"fp_tid": {"value": "…"}}
		}
		d.Email(get(k.Email))
		d.UID(get(k.UID))
		d.Plan(get(k.Plan))
		d.PromoCode(get(k.PromoCode))
		d.TID(get(k.TID))
		d.RefID(get(k.RefID))
	}
}

// HasCustomer reports whether an e-mail address or a uid is set.
func (d *Draft) HasCustomer() bool { return d.e.Email != "" || d.e.UID != "" }

// Attributed reports whether a tid or a ref_id is set.
func (d *Draft) Attributed() bool { return d.e.TID != "" || d.e.RefID != "" }

// Minor sets the amount before taxes, in the minor units of ISO 4217. Most providers use these.
func (d *Draft) Minor(n Int, currency Text) {
	digits, _ := money.ISOExponent(currency.S)
	d.Amount(n, currency, digits)
}

// Amount sets the amount before taxes, in the provider's minor units. digits is the number of decimal digits of these units. If
// the provider sends amounts such as 19.99, read them with Node.Decimal and the digits of Payload.Exponent.
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

// Add finishes the draft: the event will be tracked. Add skips the event if its amount is zero or less, if it is a sign-up without
// a tid and a ref_id, or if it has no customer. A sale or a refund without an amount fails the payload.
func (d *Draft) Add() {
	e := d.event() // leaves out a tid or a ref_id that is not valid
	money := d.kind == fprom.KindSale || d.kind == fprom.KindRefund
	switch {
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
		d.p.Skip(NoCustomer, "neither e-mail address nor uid: put "+d.p.config.keys.UID+" into the metadata at checkout, or give the handler billing.WithCustomer (for a refund billing.WithPayment)")
		return
	}
	if err := e.Validate(); err != nil {
		d.p.fail(err)
		return
	}
	d.p.out.Tracked = append(d.p.out.Tracked, Tracked{e, d.trace()})
}
