package lemonsqueezy

import (
	"github.com/fprom-go/fprom/billing"
)

func (s settings) convert(p *billing.Payload) {
	event, id := p.Root.Text("meta.event_name"), p.Root.Text("data.id")
	p.Event(event, id)
	o := p.Root.At("data.attributes")
	if p.SkipTest(p.Root.Bool("meta.test_mode") || o.Bool("test_mode"), "test_mode is true") {
		return
	}
	switch event.S {
	case "order_created":
		order(p, o)
	case "subscription_payment_success", "subscription_payment_recovered":
		invoice(p, o)
	case "order_refunded":
		s.refund(p, o, prefixed("order:", id))
	case "subscription_payment_refunded":
		if o.Text("billing_reason").S == "initial" {
			p.Skip(billing.OtherEvent, "billing_reason is initial: order_refunded reports this refund")
			return
		}
		s.refund(p, o, prefixed("subinv:", id))
	case "subscription_expired":
		d := p.Cancellation()
		customer(p, d, o)
		d.Add()
	case "subscription_cancelled":
		p.Skip(billing.NotFinal, "the grace period begins; subscription_expired is the end")
	}
}

func prefixed(prefix string, id billing.Text) billing.Text {
	if id.S != "" {
		id.S, id.From = prefix+id.S, `"`+prefix+`" and `+id.From
	}
	return id
}

func customer(p *billing.Payload, d *billing.Draft, o billing.Node) {
	d.Metadata(p.Root.At("meta.custom_data"))
	d.Email(o.Text("user_email"))
	d.Customer(o.Text("customer_id"))
}

// paid reports whether the customer has paid an order or an invoice. If not, it is skipped. A later refund does not matter here: it has
// its own event.
func paid(p *billing.Payload, what string, o billing.Node) bool {
	switch status := o.Text("status").S; status {
	case "paid", "refunded", "partial_refund", "partial_refunded":
		return true
	case "failed", "fraudulent", "void":
		p.Skip(billing.NotFinal, "the "+what+"'s status is "+status)
	default:
		p.SkipOpen("the "+what+" "+p.Root.Text("data.id").S, status)
	}
	return false
}

func order(p *billing.Payload, o billing.Node) {
	if !paid(p, "order", o) {
		return
	}
	total := o.Int("total")
	d := p.SaleOrSignup(total)
	d.ID(prefixed("order:", p.Root.Text("data.id")))
	customer(p, d, o)
	d.Minor(total.Minus(o.Int("tax")), o.Text("currency"))
	d.Plan(o.Text("first_order_item.variant_id"))
	d.Quantity(o.At("first_order_item.quantity"))
	d.Add()
}

func invoice(p *billing.Payload, o billing.Node) {
	if o.Text("billing_reason").S == "initial" {
		p.Skip(billing.OtherEvent, "billing_reason is initial: order_created reports this payment")
		return
	}
	if !paid(p, "invoice", o) {
		return
	}
	d := p.Sale()
	d.ID(prefixed("subinv:", p.Root.Text("data.id")))
	customer(p, d, o)
	d.Minor(o.Int("total").Minus(o.Int("tax")), o.Text("currency"))
	d.Add()
}
