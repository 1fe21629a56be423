package whop

import "github.com/fprom-go/fprom/billing"

func convert(p *billing.Payload) {
	o := p.Root.At("data")
	p.Event(p.Root.Text("type", "action"), o.Text("id"))
	switch event := p.Root.Text("type", "action").S; event {
	case "payment.succeeded", "payment_succeeded":
		if !p.Root.Has("type") {
			p.Fail("api_version", "is an old one (v2 or v5), whose payments have other fields: make the webhook with v1")
			return
		}
		payment(p, o)
	case "refund.created", "refund.updated":
		switch status := o.Text("status").S; status {
		case "succeeded":
			giveBack(p, o)
		case "failed", "canceled":
			p.SkipUndone("the refund "+o.Text("id").S, status)
		default:
			p.Skip(billing.NotFinal, "the refund's status is "+status)
		}
	case "dispute.created", "dispute.updated":
		dispute(p, o)
	case "membership.deactivated", "membership.went_invalid":
		d := p.Cancellation()
		customer(d, o, o)
		d.Add()
	case "invoice.paid", "membership.activated":
		p.Skip(billing.OtherEvent, "payment.succeeded reports what is paid")
	case "membership.cancel_at_period_end_changed":
		p.Skip(billing.NotFinal, "it runs to the end of its period; membership.deactivated is the end")
	case "payment.created", "payment.authorized", "payment.pending", "payment.failed", "payment.canceled":
		p.Skip(billing.NotFinal, "not paid: payment.succeeded follows if it is")
	}
}

// customer reads the customer of paid, which is the payment, and of o, which is the payment, its refund or its dispute.
func customer(d *billing.Draft, o, paid billing.Node) {
	d.Metadata(o.At("metadata"), paid.At("metadata"), paid.At("membership.metadata"), paid.At("plan.metadata"))
	d.Email(paid.Text("user.email", "customer_email"))
	d.Email(o.Text("user.email", "buyer.email", "customer_email_address"))
	id := paid.Text("user.id", "user_id")
	if id.S == "" {
		id = o.Text("buyer.user_id")
	}
	d.Customer(id)
	if !d.HasCustomer() {
		d.UID(id)
	}
}

// money reads an amount in units of the currency: a number, or in dated versions of Whop's API an object.
func money(o billing.Node, path string, digits int) billing.Int {
	if o.Has(path + ".amount") {
		path += ".amount"
	}
	return o.Decimal(path, digits)
}

// unit returns the number of decimal digits of a currency. It is false, and the payload is skipped, if there is no such currency outside
// of Whop, which takes cryptocurrencies, too.
func unit(p *billing.Payload, currency billing.Text) (digits int, ok bool) {
	digits, ok = p.Exponent(currency.S)
	if !ok && currency.S != "" {
		p.Skip(billing.ByHand, "the currency "+currency.S+" is not one of ISO 4217, which FirstPromoter takes: report it by hand in another one")
		return 0, false
	}
	return digits, true
}

func payment(p *billing.Payload, o billing.Node) {
	currency := o.Text("total.currency", "currency")
	digits, ok := unit(p, currency)
	if !ok {
		return
	}
	total := money(o, "total", digits)
	d := p.SaleOrSignup(total)
	d.ID(o.Text("id"))
	customer(d, o, o)
	d.Amount(total.Minus(money(o, "tax_amount", digits)), currency, digits)
	d.Plan(o.Text("plan.id", "plan_id"))
	d.PromoCode(o.Text("promo_code.code"))
	d.Add()
}

func dispute(p *billing.Payload, o billing.Node) {
	switch status := o.Text("status").S; {
	case p.SkipDispute():
	case o.Bool("rapid_dispute_resolution") || o.Bool("visa_rdr"):
		p.Skip(billing.OtherEvent, "refund.created or refund.updated reports what Rapid Dispute Resolution gives back")
	case status != "lost" || o.Bool("inquiry"):
		p.Skip(billing.NotFinal, "the dispute's status is "+status+", or it is an inquiry, which moves no money")
	default:
		giveBack(p, o)
	}
}

// giveBack reports a refund or a lost dispute.
func giveBack(p *billing.Payload, o billing.Node) {
	paid, paidID, amount := o.At("payment"), o.Text("payment.id", "payment_id"), "amount"
	if !o.Has(amount) { // Whop knows no exchange rate
		amount = "original_amount"
	}
	currency := o.Text(amount+".currency", "currency")
	digits, ok := unit(p, currency)
	if !ok {
		return
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	total, tax := d.Payment(paidID)
	if paid.Has("tax_amount") { // a dispute's payment has no tax_amount
		total, tax = money(paid, "total", digits), money(paid, "tax_amount", digits)
	}
	d.SaleID(paidID)
	customer(d, o, paid)
	d.Amount(billing.BeforeTax(money(o, amount, digits), total, tax), currency, digits)
	d.Add()
}
