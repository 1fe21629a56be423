package paypal

import (
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/fprom-go/fprom/billing"
)

func convert(p *billing.Payload) {
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
	case "PAYMENT.REFUND.PENDING":
		p.SkipOpen("the refund "+r.Text("id").S, "PENDING")
	case "PAYMENT.REFUND.FAILED": // or cancelled
		p.SkipUndone("the refund "+r.Text("id").S, "FAILED")
	case "PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED", "PAYMENT.SALE.REFUNDED", "PAYMENT.SALE.REVERSED", "PAYMENT.REFUND.COMPLETED":
		if strings.HasSuffix(event, "REVERSED") && p.SkipDispute() {
			return
		}
		refund(p, r)
	case "BILLING.SUBSCRIPTION.CANCELLED", "BILLING.SUBSCRIPTION.EXPIRED":
		d := p.Cancellation()
		subscriber(p, d, r)
		d.Add()
	case "BILLING.SUBSCRIPTION.ACTIVATED":
		p.Trial("the subscription begins: PAYMENT.SALE.COMPLETED reports what is paid", func(d *billing.Draft) { subscriber(p, d, r) })
	case "BILLING.SUBSCRIPTION.SUSPENDED", "BILLING.SUBSCRIPTION.PAYMENT.FAILED":
		p.Skip(billing.NotFinal, "the subscription may go on: BILLING.SUBSCRIPTION.CANCELLED ends it")
	case "PAYMENT.CAPTURE.PENDING", "PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.DECLINED", "PAYMENT.SALE.PENDING", "PAYMENT.SALE.DENIED":
		p.Skip(billing.NotFinal, "not paid: PAYMENT.CAPTURE.COMPLETED or PAYMENT.SALE.COMPLETED follows if it is")
	case "INVOICING.INVOICE.PAID", "INVOICING.INVOICE.REFUNDED":
		p.Skip(billing.ByHand, "money of the invoice "+r.Text("invoice.id", "id").S+" moved: if no event of a capture or a sale reports it, report it by hand")
	case "CHECKOUT.ORDER.COMPLETED", "CHECKOUT.ORDER.APPROVED":
		p.Skip(billing.OtherEvent, "PAYMENT.CAPTURE.COMPLETED reports the payment of an order")
	case "CUSTOMER.DISPUTE.CREATED", "CUSTOMER.DISPUTE.UPDATED", "CUSTOMER.DISPUTE.RESOLVED":
		dispute(p, r)
	}
}

func sandbox(root billing.Node) bool {
	for _, l := range append(root.Each("links"), root.Each("resource.links")...) {
		if u, err := url.Parse(l.Text("href").S); err == nil && strings.HasSuffix(u.Hostname(), ".sandbox.paypal.com") {
			return true
		}
	}
	return false
}

// capture is a payment of Orders v2.
func capture(p *billing.Payload, r billing.Node) {
	if status := r.Text("status").S; status == "PENDING" || status == "DECLINED" || status == "FAILED" {
		p.Skip(billing.NotFinal, "the capture's status is "+status)
		return
	}
	d := p.Sale()
	d.ID(r.Text("id"))
	custom := entries(d, r)
	customer(p, d, r, custom, r.Text("supplementary_data.related_ids.order_id"))
	setAmount(p, d, r, func(paid billing.Int, digits int) billing.Int {
		return lessTax(p, custom, paid, paid, digits)
	})
	d.Add()
}

// sale is a payment of a subscription, or of Payments v1.
func sale(p *billing.Payload, r billing.Node) {
	if state := r.Text("state").S; state == "pending" || state == "denied" {
		p.Skip(billing.NotFinal, "the sale's state is "+state)
		return
	}
	d := p.Sale()
	d.ID(r.Text("id"))
	custom := entries(d, r)
	customer(p, d, r, custom, r.Text("billing_agreement_id"))
	setAmount(p, d, r, func(paid billing.Int, digits int) billing.Int {
		if tax := r.Decimal("amount.details.tax", digits); tax.OK {
			return billing.BeforeTax(paid, paid, tax)
		}
		return lessTax(p, custom, paid, paid, digits)
	})
	d.Add()
}

// refund is a refund by the merchant or a loss by a dispute, of a capture or of a sale. Older payloads have negative amounts.
func refund(p *billing.Payload, r billing.Node) {
	switch status := strings.ToUpper(r.Text("status", "state").S); status {
	case "PENDING":
		p.SkipOpen("the refund "+r.Text("id").S, status)
		return
	case "FAILED", "CANCELLED":
		p.SkipUndone("the refund "+r.Text("id").S, status)
		return
	}
	d := p.Refund()
	d.ID(r.Text("id"))
	d.ID(linked(r, "refund")) // older payloads have no id
	paid := r.Text("sale_id", "capture_id")
	if paid.S == "" {
		paid = linked(r, "captures")
	}
	if paid.S == "" {
		paid = linked(r, "sale")
	}
	custom := entries(d, r)
	total, tax := d.Payment(paid)
	d.SaleID(paid)
	customer(p, d, r, custom, r.Text("billing_agreement_id", "supplementary_data.related_ids.order_id"))
	setAmount(p, d, r, func(gross billing.Int, digits int) billing.Int {
		if total.OK {
			return billing.BeforeTax(gross.Abs(), total, tax)
		}
		if tax := r.Decimal("amount.details.tax", digits); tax.OK {
			return billing.BeforeTax(gross.Abs(), gross.Abs(), tax.Abs())
		}
		return lessTax(p, custom, gross.Abs(), billing.Int{}, digits)
	})
	d.Add()
}

// dispute reports nothing. If a dispute ends well, money that a reversal took may come back, and no event says so.
func dispute(p *billing.Payload, r billing.Node) {
	switch outcome := r.Text("dispute_outcome.outcome_code").S; outcome {
	case "RESOLVED_SELLER_FAVOUR", "CANCELED_BY_BUYER", "DENIED", "RESOLVED_WITH_PAYOUT":
		p.SkipDispute() // if it skips, its reason stays
		p.Skip(billing.ByHand, "the dispute "+r.Text("dispute_id").S+" ended with "+outcome+": if a reversal was reported and the money came back, enter a sale by hand")
	default:
		p.Skip(billing.OtherEvent, "REFUNDED or REVERSED reports what a dispute takes back")
	}
}

// linked returns the id from the link whose path ends with /kind/id.
func linked(r billing.Node, kind string) billing.Text {
	for _, l := range r.Each("links") {
		href := l.Text("href")
		u, err := url.Parse(href.S)
		if err != nil || path.Base(path.Dir(u.Path)) != kind {
			continue
		}
		return billing.Text{S: path.Base(u.Path), From: href.From}
	}
	return billing.Text{}
}

func subscriber(p *billing.Payload, d *billing.Draft, r billing.Node) {
	customer(p, d, r, entries(d, r), r.Text("id"))
	if !d.HasCustomer() {
		d.Email(r.Text("subscriber.email_address", "payer.payer_info.email"))
	}
}

// entries reads the metadata in custom_id.
func entries(d *billing.Draft, r billing.Node) billing.Node {
	custom := r.Embedded(customName(r))
	d.Metadata(custom)
	return custom
}

// customer looks up the customer with id, if the metadata names none. A custom_id that is no metadata is the uid of last resort.
func customer(p *billing.Payload, d *billing.Draft, r, custom billing.Node, id billing.Text) {
	d.Customer(id)
	plain := r.Text(customName(r))
	if !d.HasCustomer() && !holdsEntries(custom, p.Keys()) && !strings.HasPrefix(plain.S, "{") {
		d.UID(plain)
	}
}

func customName(r billing.Node) string {
	if r.Has("custom_id") {
		return "custom_id"
	}
	return "custom" // in sales
}

// holdsEntries reports whether custom is metadata. An id may have an equals sign, too.
func holdsEntries(custom billing.Node, k billing.Keys) bool {
	return slices.ContainsFunc([]string{k.TID, k.RefID, k.UID, k.Email, k.Plan, k.PromoCode, "fp_total", "fp_tax"}, custom.Has)
}

// setAmount reads the amount of v2 (value, currency_code) or v1 (total, currency) and subtracts the tax with net.
func setAmount(p *billing.Payload, d *billing.Draft, r billing.Node, net func(gross billing.Int, digits int) billing.Int) {
	currency := r.Text("amount.currency_code", "amount.currency")
	digits, _ := p.Exponent(currency.S)
	gross := r.Decimal("amount.value", digits).Or(r.Decimal("amount.total", digits))
	d.Amount(net(gross, digits), currency, digits)
}

// lessTax subtracts from paid the share of fp_tax in fp_total. Without fp_total the total is the argument.
func lessTax(p *billing.Payload, custom billing.Node, paid, total billing.Int, digits int) billing.Int {
	tax := custom.Decimal("fp_tax", digits)
	total = custom.Decimal("fp_total", digits).Or(total)
	if tax.N < 0 || total.OK && tax.N > total.N {
		p.Fail(tax.From, "is not within fp_total")
	}
	return billing.BeforeTax(paid, total, tax)
}
