package fastspring

import "github.com/fprom-go/fprom/billing"

func convert(p *billing.Payload) {
	p.Event(p.Root.Text("type"), p.Root.Text("id"))
	o := p.Root.At("data")
	if p.SkipTest(p.Root.Has("live") && !p.Root.Bool("live"), "live is false") {
		return
	}
	switch p.Root.Text("type").S {
	case "order.completed":
		order(p, o, o)
	case "subscription.charge.completed":
		if !o.Has("order.id") {
			p.Fail("data.order", "is not expanded: enable webhook expansion at FastSpring")
			return
		}
		order(p, o.At("order"), o)
	case "return.created":
		if o.Has("completed") && !o.Bool("completed") {
			p.Skip(billing.ByHand, "completed is false: the return "+o.Text("return").S+" was not made, or it failed; if money goes back, report it by hand")
			return
		}
		giveBack(p, o)
	case "chargeback.created":
		chargeback(p, o)
	case "subscription.deactivated":
		d := p.Cancellation()
		customer(d, o, o)
		d.Add()
	case "fulfillment.failed":
		p.Skip(billing.ByHand, "a fulfillment of the paid order "+o.Text("order").S+" failed: if no order.completed follows, report the sale by hand")
	case "subscription.activated", "payoutEntry.created":
		p.Skip(billing.OtherEvent, "order.completed, subscription.charge.completed or return.created reports this money")
	case "subscription.canceled", "subscription.uncanceled", "subscription.payment.overdue", "subscription.charge.failed":
		p.Skip(billing.NotFinal, "the subscription may go on; subscription.deactivated is the end")
	case "order.payment.pending", "order.approval.pending", "order.failed", "order.canceled":
		p.Skip(billing.NotFinal, "not paid: order.completed follows if it is")
	}
}

// customer reads the customer. o is the order, the return or the subscription; around is the object that contains it.
func customer(d *billing.Draft, o, around billing.Node) {
	d.Metadata(o.At("tags"), around.At("tags"), around.At("subscription.tags"), o.At("original.tags"),
		o.At("items.0.subscription.tags"), o.At("items.0.attributes"))
	d.Email(o.Text("customer.email", "account.contact.email"))
	d.Email(around.Text("account.contact.email", "subscription.account.contact.email"))
	d.Customer(o.Text("account.id", "account"))
	d.Customer(around.Text("account.id", "account"))
}

func order(p *billing.Payload, o, around billing.Node) {
	currency := o.Text("currency")
	digits, _ := p.Exponent(currency.S)
	total := o.Decimal("total", digits)
	d := p.SaleOrSignup(total)
	d.ID(o.Text("order"))
	customer(d, o, around)
	d.Amount(total.Minus(o.Decimal("tax", digits)), currency, digits)
	d.Plan(o.Text("items.0.product", "items.0.product.product"))
	d.Quantity(o.At("items.0.quantity"))
	d.PromoCode(o.Text("items.0.coupon"))
	d.Add()
}

func giveBack(p *billing.Payload, o billing.Node) {
	currency := o.Text("currency")
	digits, _ := p.Exponent(currency.S)
	original := o.Text("original.order", "original")
	d := p.Refund()
	d.ID(o.Text("return"))
	d.Payment(original)
	d.SaleID(original)
	customer(d, o, o)
	d.Amount(o.Decimal("totalReturn", digits).Minus(o.Decimal("tax", digits)), currency, digits)
	d.Add()
}

// chargeback reports a chargeback. Its own id is that of the order.
func chargeback(p *billing.Payload, o billing.Node) {
	if p.SkipDispute() {
		return
	}
	currency, order := o.Text("currency"), o.Text("order")
	digits, _ := p.Exponent(currency.S)
	d := p.Refund()
	d.ID(billing.Text{S: order.S + ":chargeback", From: order.From})
	total, tax := d.Payment(order)
	d.SaleID(order)
	d.Amount(billing.BeforeTax(o.Decimal("chargebackAmount", digits), total, tax), currency, digits)
	d.Add()
}
