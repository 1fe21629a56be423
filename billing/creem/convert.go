package creem

import (
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/internal/currency"
)

func convert(p *billing.Payload) {
	p.Event(p.Root.Text("eventType"), p.Root.Text("id"))
	o := p.Root.At("object")
	mode := o.Text("mode", "transaction.mode", "order.mode").S
	if p.SkipTest(mode != "" && mode != "prod", "mode is "+mode) {
		return
	}
	switch p.Root.Text("eventType").S {
	case "checkout.completed":
		checkout(p, o)
	case "subscription.paid":
		paid(p, o)
	case "refund.created":
		switch status := o.Text("status").S; status {
		case "succeeded":
			giveBack(p, o, o.Int("refund_amount"), o.Text("refund_currency"))
		case "pending", "requiresAction":
			p.SkipOpen("the refund "+o.Text("id").S, status)
		default:
			p.Skip(billing.NotFinal, "the refund's status is "+status)
		}
	case "dispute.created":
		if p.SkipDispute() {
			return
		}
		giveBack(p, o, o.Int("amount"), o.Text("currency"))
	case "subscription.canceled":
		d := p.Cancellation()
		customer(d, o)
		d.Add()
	case "subscription.active", "subscription.update":
		p.Skip(billing.OtherEvent, "subscription.paid reports what is paid")
	case "subscription.trialing":
		trial(p, o)
	case "credits.auto_recharged":
		p.Skip(billing.ByHand, "the customer was charged for credits ("+o.Text("charge_reference").S+"), and the payload does not say how much: if no other webhook reports that payment, report it by hand")
	case "subscription.scheduled_cancel", "subscription.past_due", "subscription.unpaid", "subscription.expired", "subscription.paused":
		p.Skip(billing.NotFinal, "the subscription may go on; subscription.canceled is the end")
	}
}

func customer(d *billing.Draft, o billing.Node) {
	d.Metadata(o.At("metadata"), o.At("subscription.metadata"), o.At("checkout.metadata"), o.At("order.metadata"))
	d.Email(o.Text("customer.email"))
	d.Customer(o.Text("customer.id", "customer", "transaction.customer"))
}

func checkout(p *billing.Payload, o billing.Node) {
	order := o.At("order")
	switch {
	case order.Text("type").S == "recurring" || o.Has("subscription"):
		p.Skip(billing.OtherEvent, "the order is a subscription's: subscription.paid reports this payment")
		return
	case !o.Has("order"):
		p.Skip(billing.NothingPaid, "the checkout has no order")
		return
	case order.Text("status").S != "paid":
		p.SkipOpen("the order "+order.Text("id").S, order.Text("status").S)
		return
	}
	d := p.Sale()
	d.ID(order.Text("id"))
	customer(d, o)
	d.Minor(beforeTax(order), order.Text("currency"))
	d.Plan(o.Text("product.id", "order.product"))
	d.Quantity(o.At("units"))
	d.Add()
}

// beforeTax returns the payment of an order or a transaction without tax.
func beforeTax(o billing.Node) billing.Int {
	return o.Int("amount_paid").Minus(o.Int("tax_amount")).Or(o.Int("amount"))
}

func paid(p *billing.Payload, o billing.Node) {
	id := o.Text("last_transaction.id", "last_transaction_id")
	d := p.Sale()
	customer(d, o)
	net, currency := beforeTax(o.At("last_transaction")), o.Text("last_transaction.currency", "product.currency")
	if !net.OK {
		total, tax := d.Payment(id)
		net = total.Minus(tax).Or(price(o))
	}
	d.ID(id)
	d.Minor(net, currency)
	d.Plan(o.Text("product.id", "product"))
	d.Quantity(o.At("items.0.units"))
	d.Add()
}

// trial reports what was paid for the trial. It is the same transaction as in subscription.paid, if that comes too.
func trial(p *billing.Payload, o billing.Node) {
	last := o.At("last_transaction")
	if last.Text("status").S == "paid" && beforeTax(last).N > 0 {
		paid(p, o)
		return
	}
	if o.Int("product.trial_price").N > 0 {
		p.Skip(billing.ByHand, "the trial of the subscription "+o.Text("id").S+" has a price: if no subscription.paid reports it, report it by hand")
	}
	p.Trial("a trial; subscription.paid reports its first payment", func(d *billing.Draft) { customer(d, o) })
}

// price returns the price of all units of a subscription.
func price(o billing.Node) billing.Int {
	n, units := o.Int("product.price"), o.Int("items.0.units")
	if units.N > 1 {
		n.N = currency.MulDiv(n.N, units.N, 1)
		n.From += " × " + units.From
	}
	return n
}

// giveBack reports a refund. gross is the amount that a refund or a dispute takes back from a transaction.
func giveBack(p *billing.Payload, o billing.Node, gross billing.Int, currency billing.Text) {
	t := o.At("transaction")
	sale := t.Text("id")
	if !t.Has("subscription") && !o.Has("subscription") {
		if order := t.Text("order"); order.S != "" {
			sale = order
		}
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	total, tax := d.Payment(sale)
	d.SaleID(sale)
	customer(d, o)
	if t.Has("amount_paid") && t.Has("tax_amount") { // Creem's SDK says that each may be null
		total, tax = t.Int("amount_paid"), t.Int("tax_amount")
	}
	d.Minor(billing.BeforeTax(gross, total, tax), currency)
	d.Add()
}
