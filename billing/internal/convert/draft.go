package convert

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom"
)

// Draft is an event that is being filled in. It holds the fields of every kind.
type Draft struct {
	p      *Payload
	kind   string
	e      fprom.Sale
	saleID string
	amount Int
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

// Metadata takes what the application put into the provider's metadata (Config.Keys); the first node that has a key
// counts. Call it before Email, UID, Plan and PromoCode are taken from elsewhere.
func (d *Draft) Metadata(nodes ...Node) {
	k := d.p.config.Keys
	for _, n := range nodes {
		get := func(key string) Text {
			if key == "" {
				return Text{}
			}
			return n.Key(key).text()
		}
		d.Email(get(k.Email))
		d.UID(get(k.UID))
		d.Plan(get(k.Plan))
		d.PromoCode(get(k.PromoCode))
		d.set("tid", &d.e.TID, get(k.TID))
		d.set("ref_id", &d.e.RefID, get(k.RefID))
	}
}

// Config is what the options set.
func (d *Draft) Config() *Config { return d.p.config }

// HasCustomer reports whether the customer is known.
func (d *Draft) HasCustomer() bool { return d.e.Email != "" || d.e.UID != "" }

// Attributed reports whether a tid or a ref_id is known.
func (d *Draft) Attributed() bool { return d.e.TID != "" || d.e.RefID != "" }

// Customer asks the option Customer for the customer of the provider's id, if nothing else named one.
func (d *Draft) Customer(id Text) {
	ask := d.p.config.Customer
	if ask == nil || id.S == "" || d.HasCustomer() || d.p.err != nil {
		return
	}
	email, uid, err := ask(d.p.ctx, id.S)
	if err != nil {
		d.p.fail(fmt.Errorf("look up customer %s: %w", id.S, notPermanent(err)))
		return
	}
	d.Email(Text{email, "Customer(" + id.From + ")"})
	d.UID(Text{uid, "Customer(" + id.From + ")"})
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
	from := "Payment(" + id.From + ")"
	d.Email(Text{known.Email, from})
	d.UID(Text{known.UID, from})
	d.SaleID(Text{known.SaleEventID, from})
	if known.Total <= 0 {
		return Int{}, Int{}
	}
	return Int{known.Total, from + ".Total", true}, Int{known.Tax, from + ".Tax", true}
}

// notPermanent keeps a lookup's error from looking like a verdict on the event.
func notPermanent(err error) error {
	if fprom.IsPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}

// Amount is the money before taxes in the provider's minor units, which have so many decimal digits.
func (d *Draft) Amount(n Int, currency Text, digits int) {
	want, ok := fprom.Exponent(currency.S)
	if !ok || currency.S == "" {
		d.p.Fail("currency", "is missing or not an ISO 4217 code")
		return
	}
	if e, set := d.p.config.Exponents[strings.ToLower(currency.S)]; set {
		want = e
	}
	d.amount = n
	d.e.Amount = fprom.Rescale(n.N, digits, want)
	if digits != want {
		n.From = group(n.From) + fmt.Sprintf(", from %d to %d decimal digits", digits, want)
	}
	d.note("amount", strconv.FormatInt(d.e.Amount, 10), n.From)
	d.set("currency", &d.e.Currency, currency)
}

// Add tracks the event, or says why not.
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
	case !d.HasCustomer():
		d.p.Skip(NoCustomer, "neither e-mail address nor uid: put "+d.p.config.Keys.UID+" into the metadata at checkout, or use an option that looks the customer up")
		return
	}
	e := d.event()
	if err := e.Validate(); err != nil {
		d.p.fail(err)
		return
	}
	d.p.out.Tracked = append(d.p.out.Tracked, Tracked{e, d.fields})
}

// event is the event; a field that may be missing and is not valid is left out, so that it costs the label, not the sale.
func (d *Draft) event() fprom.Event {
	optional := map[string]struct {
		name  string
		field *string
	}{
		"Plan": {"plan", &d.e.Plan}, "PromoCode": {"promo_code", &d.e.PromoCode}, "TID": {"tid", &d.e.TID},
		"RefID": {"ref_id", &d.e.RefID}, "SaleEventID": {"sale_event_id", &d.saleID},
	}
	for range len(optional) {
		var wrong *fprom.ValidationError
		if !errors.As(d.build().Validate(), &wrong) {
			break
		}
		o, ok := optional[wrong.Field]
		if !ok || *o.field == "" {
			break
		}
		d.forget(o.name, o.field)
	}
	return d.build()
}

func (d *Draft) build() fprom.Event {
	e := d.e
	switch d.kind {
	case fprom.KindSale:
		return e
	case fprom.KindRefund:
		return fprom.Refund{
			EventID: e.EventID, Email: e.Email, UID: e.UID, Amount: e.Amount, Currency: e.Currency, Quantity: e.Quantity,
			SaleEventID: d.saleID,
		}
	case fprom.KindSignup:
		return fprom.Signup{Email: e.Email, UID: e.UID, TID: e.TID, RefID: e.RefID}
	default:
		return fprom.Cancellation{Email: e.Email, UID: e.UID}
	}
}

// mask leaves the first letter of each side of an address.
func mask(email string) string {
	local, host, ok := strings.Cut(email, "@")
	if !ok || local == "" || host == "" {
		return "***"
	}
	return string([]rune(local)[:1]) + "***@" + string([]rune(host)[:1]) + "***"
}
