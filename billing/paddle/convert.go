package paddle

import (
	"strings"

	"github.com/fprom-go/fprom/billing"
)

func convert(p *billing.Payload) {
	p.Event(p.Root.Text("event_type"), p.Root.Text("event_id"))
	o := p.Root.At("data")
	if p.SkipTest(strings.HasPrefix(p.Root.Text("event_id").S, "ntfsimevt_"), "event_id is from Paddle's webhook simulator") {
		return
	}
	switch p.Root.Text("event_type").S {
	case "transaction.completed":
		transaction(p, o)
	case "adjustment.created", "adjustment.updated":
		adjustment(p, o)
	case "subscription.canceled":
		d := p.Cancellation()
		customer(d, o)
		d.Add()
	case "transaction.paid", "transaction.updated", "transaction.billed":
		p.Skip(billing.OtherEvent, "transaction.completed reports this payment")
	}
}

func customer(d *billing.Draft, o billing.Node) {
	d.Metadata(o.At("custom_data"))
	d.Email(o.Text("custom_data.email"))
	d.Email(o.Text("customer.email"))
	id := o.Text("customer_id")
	d.Customer(id)
	if d.Attributed() && !d.HasCustomer() {
		d.UID(id) // as FirstPromoter's own connection does
	}
}

func transaction(p *billing.Payload, o billing.Node) {
	totals := o.At("details.totals")
	paid := totals.Int("grand_total")
	total, tax := totals.Int("total"), totals.Int("tax")
	net := billing.BeforeTax(paid, total, tax)
	// Of a transaction that was made before January 2026, grand_total_tax is the tax before credit
	// (https://developer.paddle.com/changelog/2026/grand-total-tax-field).
	if rest := totals.Int("grand_total_tax"); rest.OK && (rest.N != tax.N || paid.N == total.N) {
		net = paid.Minus(rest)
	}
	d := p.Sale()
	if o.Has("subscription_id") {
		d = p.SaleOrSignup(paid)
	}
	d.ID(o.Text("id"))
	customer(d, o)
	d.Minor(net, o.Text("currency_code"))
	d.Plan(o.Text("items.0.price.id"))
	d.Quantity(o.At("items.0.quantity"))
	d.Add()
}

func adjustment(p *billing.Payload, o billing.Node) {
	switch action := o.Text("action").S; action {
	case "refund":
	case "chargeback", "chargeback_reverse":
		if p.SkipDispute() {
			return
		}
		if action == "chargeback_reverse" {
			p.Skip(billing.ByHand, "the money of a chargeback came back (transaction "+o.Text("transaction_id").S+"): if the chargeback was reported, enter a sale by hand")
			return
		}
	default:
		p.Skip(billing.NotMoney, "the adjustment's action is "+action+": no money was given back")
		return
	}
	switch status := o.Text("status").S; {
	case status == "reversed" && o.Text("action").S == "refund":
		p.SkipUndone("the refund "+o.Text("id").S, status)
		return
	case status != "approved":
		p.Skip(billing.NotFinal, "the adjustment's status is "+status)
		return
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	d.Payment(o.Text("transaction_id"))
	d.SaleID(o.Text("transaction_id"))
	customer(d, o)
	totals := o.At("totals")
	d.Minor(totals.Int("total").Abs().Minus(totals.Int("tax").Abs()), o.Text("currency_code"))
	d.Add()
}
