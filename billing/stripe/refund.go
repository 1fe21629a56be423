package stripe

import (
	"strings"

	"github.com/fprom-go/fprom/billing"
)

func (s settings) refund(p *billing.Payload, o billing.Node) {
	if !o.Has("charge") && !o.Has("payment_intent") {
		p.Skip(billing.NotMoney, "the refund has no charge: it gives back cash balance of the customer, which no sale took")
		return
	}
	status := o.Text("status").S
	if s.undone(status, p.Root.Text("data.previous_attributes.status").S) {
		p.SkipUndone("the refund "+o.Text("id").S, status)
		return
	}
	if s.useChargeRefunded {
		p.Skip(billing.OtherEvent, "charge.refunded reports this refund (WithChargeRefunded)")
		return
	}
	if status != "succeeded" {
		p.Skip(billing.NotFinal, "the refund's status is "+status)
		return
	}
	if o.Text("reason").S == "expired_uncaptured_charge" || uncaptured(o.At("charge")) {
		p.Skip(billing.NotMoney, neverCaptured)
		return
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	d.Metadata(o.At("metadata"), o.At("charge.metadata"), o.At("payment_intent.metadata"))
	s.giveBack(p, d, o, o.Int("amount"))
}

// undone reports whether a refund gives no money back that may have been reported. charge.refunded reports also a pending one.
func (s settings) undone(status, before string) bool {
	if s.useChargeRefunded {
		return status == "failed" || status == "canceled"
	}
	return status == "failed" && (before == "" || before == "succeeded")
}

const neverCaptured = "the payment was never captured: there is no sale to take back"

// uncaptured reports whether a charge was only authorized. Stripe makes a refund of it, too, when the authorization ends.
func uncaptured(charge billing.Node) bool { return charge.Has("captured") && !charge.Bool("captured") }

// giveBack completes the draft of a refund or a dispute.
func (s settings) giveBack(p *billing.Payload, d *billing.Draft, o billing.Node, gross billing.Int) {
	paid := o.Text("payment_intent", "payment_intent.id", "charge", "charge.id")
	total, tax := d.Payment(paid)
	d.Customer(customerID(o))
	if s.usePaymentIntents && strings.HasPrefix(paid.S, "pi_") {
		d.SaleID(paid)
	}
	s.nameSale(p, d)
	amount(d, o, billing.BeforeTax(gross, total, tax))
	d.Add()
}

// chargeRefunded reports each refund in the charge's list. Without a list it reports the new part of the cumulative amount.
func (s settings) chargeRefunded(p *billing.Payload, o billing.Node) {
	if !s.useChargeRefunded {
		p.Skip(billing.OtherEvent, "refund.created or refund.updated reports this refund (or see WithChargeRefunded)")
		return
	}
	if uncaptured(o) {
		p.Skip(billing.NotMoney, neverCaptured)
		return
	}
	rest := uncapturedRest(o)
	list := o.Each("refunds.data")
	for i := range list { // the newest comes first
		r := list[len(list)-1-i]
		if i == 0 && rest > 0 && r.Int("amount").N == rest {
			continue
		}
		// A pending refund counts at once, as it does in amount_refunded: charge.refunded does not come again.
		if status := r.Text("status").S; status != "failed" && status != "canceled" {
			s.refundOfCharge(p, o, r.Text("id"), r.Int("amount"), billing.Int{})
		}
	}
	if len(list) > 0 {
		p.Skip(billing.NotMoney, "no refund in the list takes back a part of the sale: it has failed, or it is the rest of the payment, which was not captured")
		return
	}
	before := p.Root.Int("data.previous_attributes.amount_refunded")
	if !before.OK {
		p.Fail("data.previous_attributes.amount_refunded", "is missing: nothing says which part of amount_refunded is new")
		return
	}
	sum, id := o.Int("amount_refunded"), o.Text("id")
	if rest > 0 && sum.N <= rest {
		p.Skip(billing.NotMoney, "the rest of the payment was not captured: the sale never had it")
		return
	}
	before.N = max(before.N, rest)
	id.S += ":refunded:" + o.Text("amount_refunded").S
	id.From += " and " + sum.From
	s.refundOfCharge(p, o, id, sum, before)
}

// uncapturedRest returns what a partial capture left of a charge. Stripe makes a refund of it, the charge's first.
func uncapturedRest(charge billing.Node) int64 {
	amount, captured := charge.Int("amount"), charge.Int("amount_captured")
	if !captured.OK {
		return 0
	}
	return amount.Minus(captured).N
}

// refundOfCharge reports a refund: gross, less what of it was refunded before.
func (s settings) refundOfCharge(p *billing.Payload, o billing.Node, id billing.Text, gross, before billing.Int) {
	d := p.Refund()
	d.ID(id)
	d.Metadata(o.At("metadata"))
	total, tax := d.Payment(o.Text("payment_intent", "payment_intent.id", "id"))
	d.Email(o.Text("billing_details.email", "receipt_email"))
	d.Customer(customerID(o))
	switch {
	case o.Has("invoice"): // before basil
		d.SaleID(o.Text("invoice", "invoice.id"))
	case o.Exists("invoice") || s.usePaymentIntents: // null: the charge has no invoice
		d.SaleID(o.Text("payment_intent", "payment_intent.id"))
	}
	s.nameSale(p, d)
	amount(d, o, billing.BeforeTaxOfNew(gross, before, total, tax))
	d.Add()
}

func (s settings) dispute(p *billing.Payload, o billing.Node) {
	switch event, status := p.Root.Text("type").S, o.Text("status").S; {
	case p.SkipDispute():
		return
	case event == "charge.dispute.funds_reinstated" || status == "won":
		p.Skip(billing.ByHand, "the dispute "+o.Text("id").S+" is won: if it was reported, enter a sale by hand")
		return
	case event == "charge.dispute.closed":
		p.Skip(billing.NotFinal, "charge.dispute.created or charge.dispute.funds_withdrawn reports what a dispute takes back")
		return
	case status == "prevented" && event == "charge.dispute.created" && len(o.Each("balance_transactions")) == 0:
		p.Skip(billing.NotFinal, "the dispute was prevented: charge.dispute.funds_withdrawn follows if money is withdrawn")
		return
	case strings.HasPrefix(status, "warning_"):
		p.Skip(billing.NotFinal, "the dispute is an inquiry ("+status+"): no money was withdrawn")
		return
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	d.Metadata(o.At("metadata"), o.At("charge.metadata"), o.At("payment_intent.metadata"))
	d.Email(o.Text("evidence.customer_email_address"))
	s.giveBack(p, d, o, o.Int("amount"))
}
