package stripe

import (
	"slices"
	"strings"

	"github.com/fprom-go/fprom/billing/internal/convert"
)

type (
	payload = convert.Payload
	node    = convert.Node
)

func convertPayload(p *payload) {
	p.Event(p.Root.Text("type"), p.Root.Text("id"))
	o := p.Root.At("data.object")
	if p.SkipTest(p.Root.Has("livemode") && !p.Root.Bool("livemode"), "livemode is false") {
		return
	}
	if ids, ok := p.Config().Extra[optAccounts].([]string); ok && !slices.Contains(ids, p.Root.Text("account").S) {
		p.Skip(convert.NotMoney, "account is not one of WithAccounts")
		return
	}
	switch p.Root.Text("type").S {
	case "invoice.paid", "invoice.payment_succeeded":
		invoice(p, o)
	case "checkout.session.completed", "checkout.session.async_payment_succeeded":
		session(p, o)
	case "payment_intent.succeeded":
		paymentIntent(p, o)
	case "refund.created", "refund.updated", "charge.refund.updated":
		refund(p, o)
	case "charge.refunded":
		chargeRefunded(p, o)
	case "charge.dispute.created", "charge.dispute.funds_withdrawn":
		dispute(p, o)
	case "customer.subscription.deleted":
		d := p.Cancellation()
		d.Metadata(o.At("metadata"))
		d.Customer(o.Text("customer", "customer.id"))
		d.Add()
	case "invoice_payment.paid", "charge.succeeded", "charge.captured":
		p.Skip(convert.OtherEvent, "invoice.paid or checkout.session.completed reports this payment")
	}
}

func invoice(p *payload, o node) {
	d := p.Sale()
	if o.Text("billing_reason").S == "subscription_create" && o.Int("amount_paid").N == 0 && p.Config().Signups {
		d = p.Signup()
	}
	d.ID(o.Text("id"))
	metas := []node{o.At("metadata"), o.At("parent.subscription_details.metadata"), o.At("subscription_details.metadata")}
	lines := o.Each("lines.data")
	for _, l := range lines {
		metas = append(metas, l.At("metadata"))
	}
	d.Metadata(metas...)
	d.Email(o.Text("customer_email", "customer.email"))
	d.Customer(o.Text("customer", "customer.id"))
	paid, total := o.Int("amount_paid"), o.Int("total")
	tax := o.Sum("total_taxes", "amount").Or(o.Sum("total_tax_amounts", "amount")).Or(o.Int("tax"))
	amount(d, o, convert.Share(paid, o.Int("total_excluding_tax"), total).Or(convert.BeforeTax(paid, total, tax)))
	for _, l := range lines {
		if l.Int("amount").N > 0 {
			d.Plan(l.Text("pricing.price_details.price", "pricing.price_details.price.id", "price.id", "plan.id"))
			d.Quantity(l.Int("quantity"))
			break
		}
	}
	d.Add()
}

func session(p *payload, o node) {
	switch mode := o.Text("mode").S; {
	case mode == "subscription" || o.Has("invoice") || o.Bool("invoice_creation.enabled"):
		invoiced(p, o)
		return
	case mode == "setup":
		p.Skip(convert.NotMoney, "mode is setup")
		return
	}
	d := p.Sale()
	switch status := o.Text("payment_status").S; status {
	case "paid":
	case "no_payment_required":
		if !p.Config().Signups {
			p.Skip(convert.NothingPaid, "payment_status is no_payment_required")
			return
		}
		d = p.Signup()
	default:
		p.Skip(convert.NotFinal, "payment_status is "+status+": checkout.session.async_payment_succeeded follows once it is paid")
		return
	}
	d.ID(o.Text("payment_intent", "payment_intent.id", "id"))
	buyer(d, o)
	amount(d, o, o.Int("amount_total").Minus(o.Int("total_details.amount_tax")))
	d.Plan(o.Text("line_items.data.0.price.id"))
	d.Quantity(o.Int("line_items.data.0.quantity"))
	d.Add()
}

// invoiced makes a sign-up of a session whose payment invoice.paid reports: that does not carry the session's metadata.
func invoiced(p *payload, o node) {
	d := p.Signup()
	buyer(d, o)
	if !d.Attributed() {
		p.Skip(convert.OtherEvent, "the session has an invoice: invoice.paid reports this payment")
		return
	}
	d.Add()
}

// buyer reads who bought in a session.
func buyer(d *convert.Draft, o node) {
	d.Metadata(o.At("metadata"))
	reference := o.Text("client_reference_id")
	if d.Config().Set(optReferenceTID) {
		d.TID(reference)
	}
	if d.Config().Set(optReferenceUID) {
		d.UID(reference)
	}
	d.Email(o.Text("customer_details.email", "customer_email"))
	d.Customer(o.Text("customer", "customer.id"))
}

func paymentIntent(p *payload, o node) {
	if !p.Config().Set(optPaymentIntents) {
		p.Skip(convert.OtherEvent, "invoice.paid or checkout.session.completed reports this payment (or see WithPaymentIntents)")
		return
	}
	if o.Has("invoice") {
		p.Skip(convert.OtherEvent, "the payment has an invoice: invoice.paid reports it")
		return
	}
	d := p.Sale()
	d.ID(o.Text("id"))
	d.Metadata(o.At("metadata"))
	d.Email(o.Text("receipt_email", "charges.data.0.billing_details.email"))
	d.Customer(o.Text("customer", "customer.id"))
	amount(d, o, o.Int("amount_received").Minus(o.Int("amount_details.tax.total_tax_amount")))
	d.Add()
}

func refund(p *payload, o node) {
	if p.Config().Set(optChargeRefunded) {
		p.Skip(convert.OtherEvent, "charge.refunded reports this refund (WithChargeRefunded)")
		return
	}
	if status := o.Text("status").S; status != "succeeded" {
		p.Skip(convert.NotFinal, "the refund's status is "+status)
		return
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	d.Metadata(o.At("metadata"), o.At("charge.metadata"), o.At("payment_intent.metadata"))
	giveBack(d, o, o.Int("amount"))
}

// giveBack completes a refund from a refund or a dispute.
func giveBack(d *convert.Draft, o node, gross convert.Int) {
	paid := o.Text("payment_intent", "payment_intent.id", "charge", "charge.id")
	total, tax := d.Payment(paid)
	d.Customer(o.Text("customer", "customer.id"))
	if d.Config().Set(optPaymentIntents) && strings.HasPrefix(paid.S, "pi_") {
		d.SaleID(paid)
	}
	amount(d, o, convert.BeforeTax(gross, total, tax))
	d.Add()
}

// chargeRefunded makes one refund of each that the charge lists, else one of what is new in the cumulative amount.
func chargeRefunded(p *payload, o node) {
	if !p.Config().Set(optChargeRefunded) {
		p.Skip(convert.OtherEvent, "refund.created or refund.updated reports this refund (or see WithChargeRefunded)")
		return
	}
	list := o.Each("refunds.data")
	for i := range list { // the newest comes first
		if r := list[len(list)-1-i]; r.Text("status").S == "succeeded" {
			refundOfCharge(p, o, r.Text("id"), r.Int("amount"))
		}
	}
	if len(list) > 0 {
		return
	}
	before := p.Root.Int("data.previous_attributes.amount_refunded")
	if !before.OK {
		p.Fail("data.previous_attributes.amount_refunded", "is missing: which part of amount_refunded is new cannot be told")
		return
	}
	sum, id := o.Int("amount_refunded"), o.Text("id")
	id.S += ":refunded:" + o.Text("amount_refunded").S
	id.From += " and " + sum.From
	refundOfCharge(p, o, id, sum.Minus(before))
}

func refundOfCharge(p *payload, o node, id convert.Text, gross convert.Int) {
	d := p.Refund()
	d.ID(id)
	d.Metadata(o.At("metadata"))
	total, tax := d.Payment(o.Text("payment_intent", "payment_intent.id", "id"))
	d.Email(o.Text("billing_details.email", "receipt_email"))
	d.Customer(o.Text("customer", "customer.id"))
	switch {
	case o.Has("invoice"): // before basil
		d.SaleID(o.Text("invoice", "invoice.id"))
	case o.Exists("invoice") || p.Config().Set(optPaymentIntents): // null: there is none
		d.SaleID(o.Text("payment_intent", "payment_intent.id"))
	}
	amount(d, o, convert.BeforeTax(gross, total, tax))
	d.Add()
}

func dispute(p *payload, o node) {
	switch status := o.Text("status").S; {
	case !p.Config().Disputes:
		p.Skip(convert.NotMoney, "disputes are not tracked (WithoutDisputes)")
		return
	case strings.HasPrefix(status, "warning_"):
		p.Skip(convert.NotFinal, "the dispute is an inquiry ("+status+"): no money was withdrawn")
		return
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	d.Metadata(o.At("metadata"), o.At("charge.metadata"), o.At("payment_intent.metadata"))
	d.Email(o.Text("evidence.customer_email_address"))
	giveBack(d, o, o.Int("amount"))
}

func amount(d *convert.Draft, o node, n convert.Int) {
	currency := o.Text("currency")
	d.Amount(n, currency, digits(currency.S))
}

// digits is the number of decimal digits of Stripe's minor unit: https://docs.stripe.com/currencies.
func digits(currency string) int {
	switch strings.ToUpper(currency) {
	case "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "JOD", "KWD", "OMR", "TND":
		return 3
	default:
		return 2
	}
}
