package paypal

import (
	"net/url"
	"path"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
	"github.com/fprom-go/fprom/money"
)

type (
	payload = convert.Payload
	node    = convert.Node
)

func convertPayload(p *payload) {
	p.Event(p.Root.Text("event_type"), p.Root.Text("id"))
	if p.SkipTest(sandbox(p.Root), "the links are those of the sandbox") {
		return
	}
	r := p.Root.At("resource")
	switch event := p.Root.Text("event_type").S; event {
	case "PAYMENT.CAPTURE.COMPLETED":
		capture(p, r)
	case "PAYMENT.SALE.COMPLETED":
		sale(p, r)
	case "PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED", "PAYMENT.SALE.REFUNDED", "PAYMENT.SALE.REVERSED":
		if strings.HasSuffix(event, "REVERSED") && !p.Config().Disputes {
			p.Skip(convert.NotMoney, "disputes are not tracked (WithoutDisputes)")
			return
		}
		refund(p, r)
	case "BILLING.SUBSCRIPTION.CANCELLED", "BILLING.SUBSCRIPTION.EXPIRED":
		d := p.Cancellation()
		subscriber(d, r)
		d.Add()
	case "BILLING.SUBSCRIPTION.ACTIVATED":
		activated(p, r)
	case "BILLING.SUBSCRIPTION.SUSPENDED", "BILLING.SUBSCRIPTION.PAYMENT.FAILED":
		p.Skip(convert.NotFinal, "the subscription may go on: BILLING.SUBSCRIPTION.CANCELLED ends it")
	case "PAYMENT.CAPTURE.PENDING", "PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.DECLINED", "PAYMENT.SALE.PENDING", "PAYMENT.SALE.DENIED":
		p.Skip(convert.NotFinal, "not paid: PAYMENT.CAPTURE.COMPLETED or PAYMENT.SALE.COMPLETED follows if it is")
	case "CHECKOUT.ORDER.COMPLETED", "CHECKOUT.ORDER.APPROVED":
		p.Skip(convert.OtherEvent, "PAYMENT.CAPTURE.COMPLETED reports the payment of an order")
	case "CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.UPDATED", "CUSTOMER.DISPUTE.RESOLVED":
		p.Skip(convert.OtherEvent, "REFUNDED or REVERSED reports what a dispute takes back")
	}
}

func sandbox(root node) bool {
	for _, l := range append(root.Each("links"), root.Each("resource.links")...) {
		if u, err := url.Parse(l.Text("href").S); err == nil && strings.HasSuffix(u.Hostname(), ".sandbox.paypal.com") {
			return true
		}
	}
	return false
}

// capture is a payment of Orders v2.
func capture(p *payload, r node) {
	if status := r.Text("status").S; status == "PENDING" || status == "DECLINED" || status == "FAILED" {
		p.Skip(convert.NotFinal, "the capture's status is "+status)
		return
	}
	d := p.Sale()
	d.ID(r.Text("id"))
	custom := entries(d, r)
	customer(d, r, custom, r.Text("supplementary_data.related_ids.order_id"))
	setAmount(p, d, r, func(paid convert.Int, currency string) convert.Int {
		return lessTax(p, custom, paid, paid, currency)
	})
	d.Add()
}

// sale is a payment of a subscription, or of Payments v1.
func sale(p *payload, r node) {
	if state := r.Text("state").S; state == "pending" || state == "denied" {
		p.Skip(convert.NotFinal, "the sale's state is "+state)
		return
	}
	d := p.Sale()
	d.ID(r.Text("id"))
	custom := entries(d, r)
	customer(d, r, custom, r.Text("billing_agreement_id"))
	setAmount(p, d, r, func(paid convert.Int, currency string) convert.Int {
		if tax := parseAmount(p, r.Text("amount.details.tax"), currency); tax.OK {
			return convert.BeforeTax(paid, paid, tax)
		}
		return lessTax(p, custom, paid, paid, currency)
	})
	d.Add()
}

// refund is what a merchant gives back or a dispute takes back, of a capture or of a sale. Older payloads have negative
// amounts.
func refund(p *payload, r node) {
	status := strings.ToUpper(r.Text("status", "state").S)
	if status == "PENDING" || status == "FAILED" || status == "CANCELLED" {
		p.Skip(convert.NotFinal, "the refund's status is "+status)
		return
	}
	d := p.Refund()
	d.ID(r.Text("id"))
	d.ID(linked(r, "self", "refund")) // older payloads have no id
	paid := r.Text("sale_id")
	if paid.S == "" {
		paid = linked(r, "up", "captures")
	}
	if paid.S == "" {
		paid = linked(r, "sale", "sale")
	}
	custom := entries(d, r)
	total, tax := d.Payment(paid)
	d.SaleID(paid)
	customer(d, r, custom, r.Text("billing_agreement_id", "supplementary_data.related_ids.order_id"))
	setAmount(p, d, r, func(gross convert.Int, currency string) convert.Int {
		if total.OK {
			return convert.BeforeTax(gross.Abs(), total, tax)
		}
		if tax := parseAmount(p, r.Text("amount.details.tax"), currency); tax.OK {
			return convert.BeforeTax(gross.Abs(), gross.Abs(), tax.Abs())
		}
		return lessTax(p, custom, gross.Abs(), convert.Int{}, currency)
	})
	d.Add()
}

// linked is the id at the end of the link of that relation, if it leads to one of that kind of object.
func linked(r node, rel, kind string) convert.Text {
	for _, l := range r.Each("links") {
		href := l.Text("href")
		u, err := url.Parse(href.S)
		if err != nil || l.Text("rel").S != rel || path.Base(path.Dir(u.Path)) != kind {
			continue
		}
		return convert.Text{S: path.Base(u.Path), From: href.From}
	}
	return convert.Text{}
}

func activated(p *payload, r node) {
	d := p.Signup()
	subscriber(d, r)
	if !p.Config().Signups || !d.Attributed() {
		p.Skip(convert.NotMoney, "the subscription begins: PAYMENT.SALE.COMPLETED reports what is paid")
		return
	}
	d.Add()
}

func subscriber(d *convert.Draft, r node) {
	customer(d, r, entries(d, r), r.Text("id"))
	if !d.HasCustomer() {
		d.Email(r.Text("subscriber.email_address", "payer.payer_info.email"))
	}
}

// entries reads those of custom_id.
func entries(d *convert.Draft, r node) node {
	custom := r.Embedded(customName(r))
	d.Metadata(custom)
	return custom
}

// customer asks for the customer of id, where no entry names one. A custom_id without entries is the uid if nobody knows better.
func customer(d *convert.Draft, r, custom node, id convert.Text) {
	d.Customer(id)
	plain := r.Text(customName(r))
	if !d.HasCustomer() && !holdsEntries(custom, d.Config().Keys) && !strings.HasPrefix(plain.S, "{") {
		d.UID(plain)
	}
}

func customName(r node) string {
	if r.Has("custom_id") {
		return "custom_id"
	}
	return "custom" // of sales
}

// holdsEntries tells metadata from an id that happens to have an equals sign.
func holdsEntries(custom node, k convert.Keys) bool {
	for _, name := range []string{k.TID, k.RefID, k.UID, k.Email, k.Plan, k.PromoCode, "fp_total", "fp_tax"} {
		if name != "" && custom.Has(name) {
			return true
		}
	}
	return false
}

// setAmount reads amount of v2 (value, currency_code) or v1 (total, currency), and lets net take the tax off.
func setAmount(p *payload, d *convert.Draft, r node, net func(gross convert.Int, currency string) convert.Int) {
	currency := r.Text("amount.currency_code", "amount.currency")
	digits, ok := money.Exponent(currency.S)
	if !ok || currency.S == "" {
		d.Amount(convert.Int{}, currency, 0) // says what is wrong with the currency
		return
	}
	d.Amount(net(parseAmount(p, r.Text("amount.value", "amount.total"), currency.S), currency.S), currency, digits)
}

// lessTax takes off the share of fp_tax in fp_total, which is total where custom does not say.
func lessTax(p *payload, custom node, paid, total convert.Int, currency string) convert.Int {
	tax := parseAmount(p, custom.Text("fp_tax"), currency)
	total = parseAmount(p, custom.Text("fp_total"), currency).Or(total)
	if tax.OK && (tax.N < 0 || total.OK && tax.N > total.N) {
		p.Fail(tax.From, "is not within fp_total")
	}
	return convert.BeforeTax(paid, total, tax)
}

// parseAmount reads a decimal string in units of currency, in FirstPromoter's minor units.
func parseAmount(p *payload, t convert.Text, currency string) convert.Int {
	if t.S == "" {
		return convert.Int{}
	}
	n, err := fprom.ParseAmount(t.S, currency)
	if err != nil {
		p.Fail(t.From, "is not a decimal amount of the currency")
		return convert.Int{}
	}
	return convert.Int{N: n, From: t.From, OK: true}
}
