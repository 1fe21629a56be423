package stripe

import (
	"slices"
	"strings"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/internal/currency"
)

func (s settings) convert(p *billing.Payload) {
	p.Event(p.Root.Text("type"), p.Root.Text("id"))
	o := p.Root.At("data.object")
	if p.SkipTest(p.Root.Has("livemode") && !p.Root.Bool("livemode"), "livemode is false") {
		return
	}
	if !s.takes(p.Root.Text("account").S, p.Root.Text("context").S) {
		p.Skip(billing.NotMoney, "neither account nor context is one of WithAccounts")
		return
	}
	event := p.Root.Text("type").S
	if strings.HasPrefix(event, "v1.") && !strings.HasPrefix(event, "v1.billing.") { // the events of meters are always thin
		p.Fail("type", "is that of a thin event, which contains no amounts: give the event destination the payload style snapshot")
		return
	}
	switch event {
	case "invoice.paid", "invoice.payment_succeeded":
		invoice(p, o)
	case "checkout.session.completed", "checkout.session.async_payment_succeeded":
		s.session(p, o)
	case "payment_intent.succeeded":
		s.paymentIntent(p, o)
	case "refund.created", "refund.updated", "refund.failed", "charge.refund.updated":
		s.refund(p, o)
	case "charge.refunded":
		s.chargeRefunded(p, o)
	case "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated", "charge.dispute.closed":
		s.dispute(p, o)
	case "customer.subscription.deleted":
		d := p.Cancellation()
		d.Metadata(o.At("metadata"))
		d.Customer(customerID(o))
		d.Add()
	case "invoice_payment.paid", "charge.succeeded":
		p.Skip(billing.OtherEvent, "invoice.paid or checkout.session.completed reports this payment")
	case "charge.captured":
		p.Skip(billing.OtherEvent, "payment_intent.succeeded reports a payment that was captured by hand (WithPaymentIntents)")
	case "credit_note.created":
		if n := o.Int("out_of_band_amount"); n.N > 0 {
			p.Skip(billing.ByHand, "the credit note "+o.Text("id").S+" says that money was given back outside of Stripe: report that refund by hand")
		}
	case "invoice.voided", "invoice.marked_uncollectible":
		if o.Int("amount_paid").N > 0 {
			p.Skip(billing.ByHand, "the invoice "+o.Text("id").S+" is given up, but a part of it was paid: report that by hand, with this id as event id, so that it does not count twice if the invoice is paid later")
		}
	}
}

// takes reports whether WithAccounts selects an event. An event that an organization gets has its account in context only. Beside
// account, context is the account of the platform.
func (s settings) takes(account, context string) bool {
	return s.accounts == nil || slices.Contains(s.accounts, account) || account == "" && slices.Contains(s.accounts, context)
}

func invoice(p *billing.Payload, o billing.Node) {
	if status := o.Text("status").S; status != "" && status != "paid" && o.Int("amount_remaining").N > 0 {
		p.Skip(billing.NotFinal, "the invoice's status is "+status+": invoice.paid reports all payments once the rest is paid")
		return
	}
	paid, total := o.Int("amount_paid"), o.Int("total")
	if paid.OK && paid.N == 0 && o.Int("amount_due").N > 0 {
		p.Skip(billing.ByHand, "amount_paid is 0, and amount_due is not: the invoice "+o.Text("id").S+" was paid outside of Stripe, or forgiven; if it was paid, report it by hand")
		return
	}
	d := p.Sale()
	if o.Text("billing_reason").S == "subscription_create" {
		d = p.SaleOrSignup(paid)
	}
	d.ID(o.Text("id"))
	metas := []billing.Node{o.At("metadata"), o.At("parent.subscription_details.metadata"), o.At("subscription_details.metadata")}
	lines := o.Each("lines.data")
	for _, l := range lines {
		metas = append(metas, l.At("metadata"))
	}
	d.Metadata(metas...)
	d.Email(o.Text("customer_email", "customer.email"))
	d.Customer(customerID(o))
	tax := o.Sum("total_taxes", "amount").Or(o.Sum("total_tax_amounts", "amount")).Or(o.Int("tax"))
	amount(d, o, billing.Share(paid, o.Int("total_excluding_tax"), total).Or(billing.BeforeTax(paid, total, tax)))
	for _, l := range lines {
		if l.Int("amount").N > 0 {
			d.Plan(l.Text("pricing.price_details.price", "pricing.price_details.price.id", "price.id", "plan.id"))
			d.Quantity(l.At("quantity"))
			break
		}
	}
	d.Add()
}

func (s settings) session(p *billing.Payload, o billing.Node) {
	switch mode := o.Text("mode").S; {
	case mode == "subscription" || o.Has("invoice") || o.Bool("invoice_creation.enabled"):
		s.invoiced(p, o)
		return
	case mode == "setup":
		p.Skip(billing.NotMoney, "mode is setup")
		return
	}
	switch status := o.Text("payment_status").S; status {
	case "paid":
	case "no_payment_required":
		p.Trial("payment_status is no_payment_required", func(d *billing.Draft) { s.buyer(d, o) })
		return
	default:
		p.Skip(billing.NotFinal, "payment_status is "+status+": checkout.session.async_payment_succeeded follows once it is paid; if you capture it by hand, see WithPaymentIntents")
		return
	}
	d := p.Sale()
	d.ID(o.Text("payment_intent", "payment_intent.id", "id"))
	s.buyer(d, o)
	amount(d, o, o.Int("amount_total").Minus(o.Int("total_details.amount_tax")))
	d.Plan(o.Text("line_items.data.0.price.id"))
	d.Quantity(o.At("line_items.data.0.quantity"))
	d.Add()
}

// invoiced reports a sign-up for a session with an invoice. invoice.paid reports its payment, but without the session's metadata.
func (s settings) invoiced(p *billing.Payload, o billing.Node) {
	d := p.Signup()
	s.buyer(d, o)
	switch {
	case d.Attributed():
		d.Add()
		s.again(p, o)
	case o.Text("payment_status").S == "unpaid":
		p.Skip(billing.NotFinal, "payment_status is unpaid: invoice.paid follows once it is paid")
	default:
		p.Skip(billing.OtherEvent, "the session has an invoice: invoice.paid reports this payment")
	}
}

// buyer reads the customer and the attribution of a session.
func (s settings) buyer(d *billing.Draft, o billing.Node) {
	d.Metadata(o.At("metadata"))
	reference := o.Text("client_reference_id")
	if s.referenceTID {
		d.TID(reference)
	}
	if s.referenceUID {
		d.UID(reference)
	}
	d.Email(o.Text("customer_details.email", "customer_email"))
	d.Customer(customerID(o))
}

func (s settings) paymentIntent(p *billing.Payload, o billing.Node) {
	if !s.usePaymentIntents {
		p.Skip(billing.OtherEvent, "invoice.paid or checkout.session.completed reports this payment (or see WithPaymentIntents)")
		return
	}
	// Since basil a payment intent names its invoice only as the reference for the card network.
	if o.Has("invoice") || strings.HasPrefix(o.Text("payment_details.order_reference").S, "in_") {
		p.Skip(billing.OtherEvent, "the payment has an invoice: invoice.paid reports it")
		return
	}
	d := p.Sale()
	d.ID(o.Text("id"))
	d.Metadata(o.At("metadata"))
	d.Email(o.Text("receipt_email", "charges.data.0.billing_details.email"))
	d.Customer(customerID(o))
	amount(d, o, o.Int("amount_received").Minus(o.Int("amount_details.tax.total_tax_amount")))
	d.Add()
}

// customerID returns the id of the customer, which is an account (acct_…) with Stripe's Accounts v2.
func customerID(o billing.Node) billing.Text {
	return o.Text("customer", "customer.id", "customer_account")
}

func amount(d *billing.Draft, o billing.Node, n billing.Int) {
	code := o.Text("currency")
	d.Amount(n, code, currency.StripeDigits(code.S))
}
