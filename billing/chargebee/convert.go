package chargebee

import "github.com/fprom-go/fprom/billing"

func convert(p *billing.Payload) {
	p.Event(p.Root.Text("event_type"), p.Root.Text("id"))
	c := p.Root.At("content")
	if t := c.At("transaction"); t.Text("type").S == "payment_reversal" {
		p.Skip(billing.ByHand, "the transaction "+t.Text("id").S+" reverses a payment: if no event with status late_failure reports that, report a refund by hand")
		return
	}
	switch p.Root.Text("event_type").S {
	case "payment_succeeded":
		payment(p, c)
	case "payment_refunded":
		refund(p, c)
	case "subscription_cancelled", "subscription_canceled_with_backdating":
		d := p.Cancellation()
		customer(p, d, c)
		d.Add()
	case "invoice_updated", "invoice_generated", "subscription_renewed":
		p.Skip(billing.OtherEvent, "payment_succeeded reports what is paid")
	case "payment_failed":
		failure(p, c)
	case "transaction_deleted":
		if t := c.At("transaction"); t.Text("type").S == "payment" && t.Text("status").S == "success" {
			p.Skip(billing.ByHand, "the payment "+t.Text("id").S+" was deleted: if it was reported, report a refund by hand")
		}
	case "omnichannel_transaction_created":
		p.Skip(billing.ByHand, "the payment "+c.Text("omnichannel_transaction.id").S+" in an app store names neither the customer nor the tax: report it by hand")
	case "payment_initiated", "authorization_succeeded":
		p.Skip(billing.NotFinal, "not paid: payment_succeeded follows if it is")
	case "refund_initiated":
		p.Skip(billing.NotFinal, "payment_refunded follows once the money is given back")
	case "subscription_cancellation_scheduled":
		p.Skip(billing.NotFinal, "it runs to the end of its term; subscription_cancelled is the end")
	case "subscription_created", "subscription_started":
		p.Trial("the subscription begins; payment_succeeded reports what is paid", func(d *billing.Draft) { customer(p, d, c) })
	}
}

func customer(p *billing.Payload, d *billing.Draft, c billing.Node) {
	d.Metadata(c.At("subscription.meta_data"), c.At("customer.meta_data"))
	k := p.Keys()
	for _, o := range []billing.Node{c.At("subscription"), c.At("customer")} { // custom fields
		d.TID(o.Text("cf_" + k.TID))
		d.RefID(o.Text("cf_" + k.RefID))
		d.UID(o.Text("cf_" + k.UID))
		d.Email(o.Text("cf_" + k.Email))
	}
	d.Email(c.Text("customer.email"))
	id := c.Text("customer.id", "transaction.customer_id", "subscription.customer_id")
	d.Customer(id)
	if !d.HasCustomer() {
		d.UID(id)
	}
}

func payment(p *billing.Payload, c billing.Node) {
	t := c.At("transaction")
	if status := t.Text("status").S; status != "success" {
		p.Skip(billing.NotFinal, "the transaction's status is "+status)
		return
	}
	d := p.Sale()
	d.ID(t.Text("id"))
	customer(p, d, c)
	d.Minor(beforeTax(c, t.Int("amount")), t.Text("currency_code"))
	d.Plan(c.Text("subscription.subscription_items.0.item_price_id", "subscription.plan_id"))
	d.Quantity(c.At("subscription.subscription_items.0.quantity"))
	d.Quantity(c.At("subscription.plan_quantity"))
	d.PromoCode(c.Text("subscription.coupons.0.coupon_code", "subscription.coupons.0.coupon_id", "subscription.coupon"))
	d.Add()
}

func beforeTax(c billing.Node, gross billing.Int) billing.Int {
	return billing.BeforeTax(gross, c.Int("invoice.total"), c.Int("invoice.tax"))
}

func refund(p *billing.Payload, c billing.Node) {
	t := c.At("transaction")
	if status := t.Text("status").S; status != "success" {
		p.Skip(billing.NotFinal, "the transaction's status is "+status)
		return
	}
	if t.Text("payment_method").S == "chargeback" && p.SkipDispute() {
		return
	}
	giveBack(p, c, t.Text("id"), t.Text("refunded_txn_id", "linked_payments.0.id"))
}

// failure takes back a payment, such as a direct debit, that fails after it has succeeded.
func failure(p *billing.Payload, c billing.Node) {
	paid := c.Text("transaction.id")
	if c.Text("transaction.status").S != "late_failure" {
		p.Skip(billing.NotFinal, "not paid: payment_succeeded follows if it is")
		return
	}
	id := paid
	if id.S != "" {
		id.S += ":late_failure"
	}
	giveBack(p, c, id, paid)
}

// giveBack reports a refund of the payment with the id paid.
func giveBack(p *billing.Payload, c billing.Node, id, paid billing.Text) {
	t := c.At("transaction")
	d := p.Refund()
	d.ID(id)
	total, tax := d.Payment(paid)
	d.SaleID(paid)
	customer(p, d, c)
	net := billing.BeforeTax(t.Int("amount"), total, tax)
	if !total.OK {
		net = beforeTax(c, t.Int("amount"))
	}
	d.Minor(net, t.Text("currency_code"))
	d.Add()
}
