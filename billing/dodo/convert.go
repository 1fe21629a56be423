package dodo

import (
	"strings"

	"github.com/fprom-go/fprom/billing"
)

func convert(p *billing.Payload) {
	o := p.Root.At("data")
	p.Event(p.Root.Text("type"), o.Text("refund_id", "dispute_id", "payment_id", "subscription_id"))
	if p.SkipTest(strings.HasPrefix(o.Text("payment_link").S, "https://test."), "payment_link is of test mode") {
		return
	}
	switch p.Root.Text("type").S {
	case "payment.succeeded":
		payment(p, o)
	case "refund.succeeded":
		refund(p, o)
	case "dispute.lost", "dispute.accepted", "dispute.expired":
		dispute(p, o)
	case "subscription.cancelled", "subscription.expired":
		d := p.Cancellation()
		customer(d, o)
		d.Add()
	case "subscription.active", "subscription.renewed", "subscription.plan_changed":
		p.Skip(billing.OtherEvent, "payment.succeeded reports what is paid")
	case "subscription.on_hold", "subscription.failed":
		p.Skip(billing.NotFinal, "the subscription may go on: subscription.cancelled or subscription.expired ends it")
	case "payment.processing", "payment.failed", "payment.cancelled":
		p.Skip(billing.NotFinal, "not paid: payment.succeeded follows if it is")
	case "refund.failed":
		p.Skip(billing.NotFinal, "refund.succeeded reports a refund that was made")
	case "dispute.opened", "dispute.challenged", "dispute.won", "dispute.cancelled":
		p.Skip(billing.NotFinal, "dispute.lost or dispute.accepted reports a dispute that takes money back")
	}
}

func customer(d *billing.Draft, o billing.Node) {
	d.Metadata(o.At("metadata"), o.At("customer.metadata"))
	d.Email(o.Text("customer.email"))
	d.Customer(o.Text("customer.customer_id"))
}

func payment(p *billing.Payload, o billing.Node) {
	total := o.Int("total_amount")
	d := p.SaleOrSignup(total)
	d.ID(o.Text("payment_id"))
	customer(d, o)
	d.Minor(total.Minus(o.Int("tax")), o.Text("currency"))
	d.Plan(o.Text("product_cart.0.product_id"))
	d.Quantity(o.At("product_cart.0.quantity"))
	d.Add()
}

func refund(p *billing.Payload, o billing.Node) {
	d := p.Refund()
	d.ID(o.Text("refund_id"))
	total, tax := d.Payment(o.Text("payment_id"))
	d.SaleID(o.Text("payment_id"))
	customer(d, o)
	d.Minor(billing.BeforeTax(o.Int("amount"), total, tax), o.Text("currency"))
	d.Add()
}

// dispute takes back the whole payment, less earlier refunds: the unit of the dispute's own amount is not documented.
func dispute(p *billing.Payload, o billing.Node) {
	if p.SkipDispute() {
		return
	}
	if p.Root.Text("type").S == "dispute.expired" {
		p.Skip(billing.ByHand, "the dispute expired: if it has taken money back, report that by hand")
		return
	}
	d := p.Refund()
	d.ID(o.Text("dispute_id"))
	total, tax := d.Payment(o.Text("payment_id"))
	if !total.OK {
		p.Skip(billing.ByHand, "give billing.WithPayment, or report what the dispute takes back by hand")
		return
	}
	d.SaleID(o.Text("payment_id"))
	customer(d, o)
	d.Minor(billing.BeforeTaxOfNew(total, d.Refunded(), total, tax), o.Text("currency"))
	d.Add()
}
