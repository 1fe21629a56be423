package polar

import (
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/internal/currency"
)

func convert(p *billing.Payload) {
	o := p.Root.At("data")
	p.Event(p.Root.Text("type"), o.Text("id"))
	switch p.Root.Text("type").S {
	case "order.paid":
		order(p, o)
	case "refund.created", "refund.updated":
		refund(p, o)
	case "subscription.revoked":
		d := p.Cancellation()
		customer(d, o)
		d.Add()
	case "order.created", "order.updated":
		p.Skip(billing.OtherEvent, "order.paid reports this payment")
	case "order.refunded":
		p.Skip(billing.OtherEvent, "refund.created or refund.updated reports this refund")
	case "subscription.canceled":
		p.Skip(billing.NotFinal, "it runs to the end of its period; subscription.revoked is the end")
	}
}

func customer(d *billing.Draft, o billing.Node) {
	d.Metadata(o.At("metadata"), o.At("subscription.metadata"), o.At("customer.metadata"), o.At("checkout.metadata"))
	d.Email(o.Text("customer.email"))
	d.UID(o.Text("customer.external_id"))
	d.Customer(o.Text("customer_id", "customer.id"))
}

func order(p *billing.Payload, o billing.Node) {
	net, total := o.Int("net_amount").Or(o.Int("amount")), o.Int("total_amount")
	balance := o.Int("applied_balance_amount").Or(o.Int("from_balance_amount"))
	paid := net
	if balance.N != 0 {
		paid = billing.Share(total.Plus(balance), net, total).Or(net)
	}
	d := p.SaleOrSignup(total)
	d.ID(o.Text("id"))
	customer(d, o)
	amount(d, o, paid)
	d.Plan(o.Text("product_id", "product.id"))
	d.Quantity(o.At("seats"))
	d.Quantity(o.At("units"))
	d.PromoCode(o.Text("discount.code"))
	d.Add()
}

func refund(p *billing.Payload, o billing.Node) {
	switch status := o.Text("status").S; status {
	case "succeeded":
	case "failed", "canceled":
		p.SkipUndone("the refund "+o.Text("id").S, status)
		return
	default:
		p.Skip(billing.NotFinal, "the refund's status is "+status)
		return
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	total, tax := d.Payment(o.Text("order_id"))
	d.SaleID(o.Text("order_id"))
	customer(d, o)
	net := o.Int("amount")
	if total.OK { // if the balance paid a part of the order, the refund's tax is more than its share
		net = billing.BeforeTax(net.Plus(o.Int("tax_amount")), total, tax)
	}
	amount(d, o, net)
	d.Add()
}

func amount(d *billing.Draft, o billing.Node, n billing.Int) {
	code := o.Text("currency")
	d.Amount(n, code, currency.StripeDigits(code.S))
}
