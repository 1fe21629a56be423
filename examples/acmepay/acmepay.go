// Package acmepay is an example of a billing provider in its own module, for package billing. Acme Pay does not exist: it stands for
// your provider. In the service:
//
//	http.Handle("POST /webhooks/acmepay", billing.Handler(tracker, acmepay.Provider(), os.Getenv("ACMEPAY_WEBHOOK_SECRET")))
//
//	type                    event          amount (before taxes)   event id
//	payment.completed       sale           total − tax             payment pay_…
//	refund.completed        refund         total − tax             refund ref_…, names the sale: payment pay_…
//	subscription.ended      cancellation
//
// payment.authorized comes before payment.completed, for the same payment. Amounts are in units of the currency (19.99).
// The tracking id is in metadata. Acme Pay repeats it in all payments of a subscription and in refunds.
package acmepay

import "github.com/fprom-go/fprom/billing"

// Provider describes Acme Pay. It signs by Standard Webhooks with the secret of the endpoint (whsec_…).
func Provider() billing.Provider {
	return billing.Provider{Name: "acmepay", Header: "Webhook-Signature", SecretPrefix: "whsec_", Verify: billing.StandardWebhooks, Convert: convert}
}

func convert(p *billing.Payload) {
	p.Event(p.Root.Text("type"), p.Root.Text("id"))
	o := p.Root.At("object")
	if p.SkipTest(p.Root.Bool("sandbox"), "sandbox is true") {
		return
	}
	switch p.Root.Text("type").S {
	case "payment.completed":
		fill(p, p.Sale(), o)
	case "refund.completed":
		d := p.Refund()
		d.SaleID(o.Text("payment"))
		fill(p, d, o)
	case "subscription.ended":
		fill(p, p.Cancellation(), o)
	case "payment.authorized":
		p.Skip(billing.NotFinal, "payment.completed follows once the money is there")
	}
}

func fill(p *billing.Payload, d *billing.Draft, o billing.Node) {
	d.ID(o.Text("id"))
	d.Metadata(o.At("metadata"))
	d.Email(o.Text("customer.email"))
	d.Customer(o.Text("customer.id"))
	d.Plan(o.Text("plan"))
	currency := o.Text("currency")
	if currency.S != "" {
		digits, _ := p.Exponent(currency.S)
		d.Amount(o.Decimal("total", digits).Minus(o.Decimal("tax", digits)), currency, digits)
	}
	d.Add()
}
