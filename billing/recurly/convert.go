package recurly

import (
	"strings"

	"github.com/fprom-go/fprom/billing"
)

func convert(p *billing.Payload) {
	if p.Root.Has("object_type") {
		p.Fail("payload", "is one of Recurly's JSON webhooks, which hold no amounts: choose the format XML for the endpoint")
		return
	}
	kind := p.Root.Text("name")
	o := p.Root.At("content")
	p.Event(kind, o.Text("invoice.uuid", "transaction.id", "subscription.uuid"))
	switch strings.TrimSuffix(kind.S, "_notification") {
	case "paid_charge_invoice":
		sale(p, o)
	case "new_credit_invoice", "closed_credit_invoice":
		refund(p, o)
	case "reopened_charge_invoice":
		p.Skip(billing.ByHand, "the invoice "+o.Text("invoice.uuid").S+" is open again: if it was reported and is not paid again, report a refund by hand")
	case "reopened_credit_invoice":
		p.Skip(billing.ByHand, "the credit invoice "+o.Text("invoice.uuid").S+" is open again: if it was reported and is not used again, enter a sale by hand")
	case "expired_subscription":
		d := p.Cancellation()
		customer(d, o)
		d.Add()
	case "new_invoice", "closed_invoice":
		p.Skip(billing.OtherEvent, "it is of an invoice without the Credit Invoices feature: enable that at Recurly, so that paid_charge_invoice_notification reports what is paid")
	case "successful_payment", "new_charge_invoice", "renewed_subscription", "new_subscription":
		p.Skip(billing.OtherEvent, "paid_charge_invoice_notification reports what is paid")
	case "successful_refund", "void_payment":
		p.Skip(billing.OtherEvent, "closed_credit_invoice_notification reports this refund")
	case "processing_charge_invoice", "past_due_charge_invoice", "failed_charge_invoice", "failed_payment", "scheduled_payment", "processing_payment":
		p.Skip(billing.NotFinal, "not paid: paid_charge_invoice_notification follows if it is")
	case "canceled_subscription":
		p.Skip(billing.NotFinal, "it runs to the end of its period; expired_subscription_notification is the end")
	}
}

func customer(d *billing.Draft, o billing.Node) {
	d.Email(o.Text("account.email"))
	code := o.Text("account.account_code")
	d.Customer(code)
	if !d.HasCustomer() {
		d.UID(code)
	}
}

func sale(p *billing.Payload, o billing.Node) {
	invoice := o.At("invoice")
	d := p.Sale()
	d.ID(invoice.Text("uuid"))
	customer(d, o)
	d.Minor(invoice.Int("total_in_cents").Minus(invoice.Int("tax_in_cents")), invoice.Text("currency"))
	d.Add()
}

// refund reports a credit invoice once it is used up: its money was given back, or it has paid an invoice, which is reported in full.
func refund(p *billing.Payload, o billing.Node) {
	invoice := o.At("invoice")
	switch origin, state := invoice.Text("origin").S, invoice.Text("state").S; {
	case origin == "write_off":
		p.Skip(billing.NotMoney, "the origin of the credit invoice is write_off: the invoice was never paid")
		return
	case state != "closed":
		p.Skip(billing.NotFinal, "the state of the credit invoice is "+state)
		return
	}
	d := p.Refund()
	d.ID(invoice.Text("uuid"))
	customer(d, o)
	d.Minor(invoice.Int("total_in_cents").Abs().Minus(invoice.Int("tax_in_cents").Abs()), invoice.Text("currency"))
	d.Add()
}
