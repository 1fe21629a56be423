package razorpay

import (
	"strings"

	"github.com/fprom-go/fprom/billing/internal/convert"
)

// beforeTax is the part of gross that is not sales tax, as the notes say, else the invoice.
func beforeTax(p *payload, e entities, gross convert.Int) convert.Int {
	for _, at := range []struct {
		notes node
		total convert.Int
	}{
		{e.payment.At("notes"), e.payment.Int("amount")},
		{e.order.At("notes"), e.order.Int("amount")},
		{e.invoice.At("notes"), e.invoice.Int("amount")},
		{e.subscription.At("notes"), e.payment.Int("amount")},
	} {
		if net := note(p, at.notes, "fp_net", at.total); net.OK {
			return convert.Share(gross, net, at.total)
		}
		if tax := note(p, at.notes, "fp_tax", at.total); tax.OK {
			return convert.BeforeTax(gross, at.total, tax)
		}
	}
	return convert.BeforeTax(gross, e.invoice.Int("amount"), e.invoice.Int("tax_amount"))
}

// note is the part of total that the note of that name gives.
func note(p *payload, notes node, name string, total convert.Int) convert.Int {
	i := notes.Int(name)
	if i.OK && (i.N < 0 || i.N > total.N || strings.Contains(notes.Text(name).S, ".")) {
		p.Fail(i.From, "is not within the amount: it is an integer in the currency's smallest unit, without a decimal point")
	}
	return i
}
