package razorpay

import (
	"strings"

	"github.com/fprom-go/fprom/billing"
)

// entities are the objects of a payload. One that is missing is an absent node.
type entities struct{ payment, order, invoice, subscription, refund, dispute billing.Node }

func (s settings) convert(p *billing.Payload) {
	in := p.Root.At("payload")
	p.Event(p.Root.Text("event"), in.Text("refund.entity.id", "dispute.entity.id", "payment.entity.id", "subscription.entity.id"))
	e := entities{
		payment: in.At("payment.entity"), order: in.At("order.entity"), invoice: in.At("invoice.entity"),
		subscription: in.At("subscription.entity"), refund: in.At("refund.entity"), dispute: in.At("dispute.entity"),
	}
	switch event := p.Root.Text("event").S; event {
	case "subscription.authenticated":
		if e.payment.Text("status").S != "captured" {
			p.Trial("the subscription begins; subscription.charged reports what is paid", func(d *billing.Draft) { customer(d, e) })
			return
		}
		fallthrough // an upfront amount
	case "payment.captured", "order.paid", "subscription.charged", "invoice.paid", "invoice.partially_paid":
		if other := s.reportedBy(event, e); other != "" {
			p.Skip(billing.OtherEvent, other)
			return
		}
		sale(p, e)
	case "refund.processed":
		refund(p, e)
	case "payment.dispute.lost":
		dispute(p, e)
	case "subscription.cancelled", "subscription.completed", "subscription.halted":
		d := p.Cancellation()
		d.Metadata(e.subscription.At("notes"))
		d.Email(email(e.payment.Text("email")))
		d.Customer(e.subscription.Text("customer_id"))
		d.Add()
	case "payment.authorized", "payment.failed", "payment.pending":
		p.Skip(billing.NotFinal, "the payment is not captured")
	case "refund.created", "refund.failed", "refund.speed_changed":
		p.Skip(billing.NotFinal, "refund.processed reports a refund that was made")
	case "payment.dispute.created", "payment.dispute.under_review", "payment.dispute.action_required", "payment.dispute.won",
		"payment.dispute.closed":
		p.Skip(billing.NotFinal, "payment.dispute.lost reports a dispute that takes money back")
	case "payment_link.paid", "payment_link.partially_paid", "qr_code.credited", "virtual_account.credited":
		p.Skip(billing.OtherEvent, "order.paid or payment.captured reports this payment")
	}
}

// reportedBy returns a text that names the event that reports this payment. It is empty if this event does.
func (s settings) reportedBy(event string, e entities) string {
	invoiced := e.payment.Text("invoice_id").S != ""
	switch {
	case s.paymentCaptured:
		if event != "payment.captured" {
			return "payment.captured reports this payment (WithPaymentCaptured)"
		}
	case invoiced && (event == "payment.captured" || event == "order.paid"):
		return "the payment has an invoice: subscription.charged or invoice.paid reports it (or see WithPaymentCaptured)"
	case event != "subscription.charged" && e.invoice.Text("subscription_id").S != "":
		return "the invoice is a subscription's: subscription.charged reports this payment"
	}
	return ""
}

func sale(p *billing.Payload, e entities) {
	// A payment that is refunded already is still a sale: the refund has its own event.
	if status := e.payment.Text("status").S; status != "captured" && (status != "refunded" || !captured(e.payment)) {
		p.Skip(billing.NotFinal, "the payment's status is "+status)
		return
	}
	d := p.Sale()
	d.ID(e.payment.Text("id"))
	customer(d, e)
	d.Minor(beforeTax(p, e, e.payment.Int("amount")), e.payment.Text("currency"))
	d.Plan(e.subscription.Text("plan_id"))
	d.Quantity(e.subscription.At("quantity"))
	d.Add()
}

func customer(d *billing.Draft, e entities) {
	d.Metadata(e.payment.At("notes"), e.order.At("notes"), e.invoice.At("notes"), e.subscription.At("notes"))
	d.Email(email(e.payment.Text("email")))
	d.Email(e.invoice.Text("customer_details.email", "customer_details.customer_email"))
	for _, n := range []billing.Node{e.payment, e.subscription, e.invoice} {
		d.Customer(n.Text("customer_id"))
	}
}

// email drops the address that Razorpay fills in if the customer gave none.
func email(t billing.Text) billing.Text {
	if strings.EqualFold(t.S, "void@razorpay.com") {
		return billing.Text{}
	}
	return t
}

func refund(p *billing.Payload, e entities) {
	if !captured(e.payment) {
		p.Skip(billing.NotMoney, "the payment was never captured: there is no sale to take back")
		return
	}
	if status := e.refund.Text("status").S; status != "" && status != "processed" {
		p.Skip(billing.NotFinal, "the refund's status is "+status)
		return
	}
	giveBack(p, e, e.refund, e.refund.Int("amount"))
}

func dispute(p *billing.Payload, e entities) {
	if p.SkipDispute() {
		return
	}
	giveBack(p, e, e.dispute, e.dispute.Int("amount_deducted"))
}

// giveBack reports a refund. o is a refund or a dispute, and gross is the amount that it takes back from the payment.
func giveBack(p *billing.Payload, e entities, o billing.Node, gross billing.Int) {
	paymentID := o.Text("payment_id")
	if paymentID.S == "" {
		paymentID = e.payment.Text("id")
	}
	d := p.Refund()
	d.ID(o.Text("id"))
	d.SaleID(paymentID)
	d.Metadata(e.payment.At("notes"), o.At("notes"))
	d.Email(email(e.payment.Text("email")))
	total, tax := d.Payment(paymentID)
	d.Customer(e.payment.Text("customer_id"))
	if total.OK {
		d.Minor(billing.BeforeTax(beforeFee(e.payment, gross), total, tax), o.Text("currency"))
	} else {
		d.Minor(beforeTax(p, e, gross), o.Text("currency"))
	}
	d.Add()
}

// captured reports whether the payment was captured. It is true if the payload does not say. Razorpay writes true or "1".
func captured(payment billing.Node) bool {
	if !payment.Has("captured") {
		return true
	}
	s := payment.Text("captured").S
	return payment.Bool("captured") || s == "1" || s == "true"
}
