package razorpay

import (
	"math"
	"strings"

	"github.com/fprom-go/fprom/billing"
)

// beforeTax returns the part of gross that is neither Razorpay's fee nor sales tax, by the notes or else by the invoice.
func beforeTax(p *billing.Payload, e entities, gross billing.Int) billing.Int {
	charged := e.payment.Int("amount").Minus(customersFee(e.payment))
	gross = beforeFee(e.payment, gross)
	for _, at := range []struct {
		notes billing.Node
		total billing.Int // that the notes refer to, without fp_total
	}{
		{e.invoice.At("notes"), e.invoice.Int("amount")}, // first: a part payment repeats the notes of the whole invoice
		{e.payment.At("notes"), charged},                 // before the order's, which payment.captured does not contain
		{e.order.At("notes"), e.order.Int("amount")},
		{e.subscription.At("notes"), charged},
	} {
		total := note(p, at.notes, "fp_total", billing.Int{N: math.MaxInt64}).Or(at.total)
		if net := note(p, at.notes, "fp_net", total); net.OK {
			return billing.Share(gross, net, total)
		}
		if tax := note(p, at.notes, "fp_tax", total); tax.OK {
			return billing.BeforeTax(gross, total, tax)
		}
	}
	return billing.BeforeTax(gross, e.invoice.Int("amount"), e.invoice.Int("tax_amount"))
}

// beforeFee returns the part of gross that is not Razorpay's fee.
func beforeFee(payment billing.Node, gross billing.Int) billing.Int {
	return billing.BeforeTax(gross, payment.Int("amount"), customersFee(payment))
}

// customersFee returns Razorpay's fee if the customer has paid it on top.
func customersFee(payment billing.Node) billing.Int {
	if payment.Text("fee_bearer").S != "customer" {
		return billing.Int{}
	}
	return payment.Int("fee")
}

// note returns the integer in the note with that name. It must lie between 0 and total.
func note(p *billing.Payload, notes billing.Node, name string, total billing.Int) billing.Int {
	i := notes.Int(name)
	if i.N < 0 || i.N > total.N || strings.Contains(notes.Text(name).S, ".") {
		p.Fail(i.From, "is not within the amount: it is an integer in the currency's smallest unit, without a decimal point")
	}
	return i
}
