package shopify

import "github.com/fprom-go/fprom/billing"

// provider converts a response of the Partner API.
var provider = billing.Provider{Name: "shopify", Batch: "data.transactions.edges", Convert: convert}

func convert(p *billing.Payload) {
	o := p.Root.At("node")
	kind := o.Text("__typename")
	p.Event(kind, o.Text("id"))
	switch kind.S {
	case "AppSubscriptionSale", "AppUsageSale", "AppOneTimeSale":
		transaction(p, p.Sale(), o, func(n billing.Int) billing.Int { return n })
	case "AppSaleAdjustment", "AppSaleCredit":
		currency := o.Text("netAmount.currencyCode")
		digits, _ := p.Exponent(currency.S)
		if net := o.Decimal("netAmount.amount", digits); net.N >= 0 {
			p.Skip(billing.ByHand, "netAmount is not below zero: nothing was given back; if something was paid, report it by hand")
			return
		}
		transaction(p, p.Refund(), o, billing.Int.Abs)
	}
}

func transaction(p *billing.Payload, d *billing.Draft, o billing.Node, amount func(billing.Int) billing.Int) {
	shop, currency := o.Text("shop.myshopifyDomain"), o.Text("grossAmount.currencyCode")
	digits, _ := p.Exponent(currency.S)
	d.ID(o.Text("id"))
	d.Customer(shop)
	if !d.HasCustomer() {
		d.UID(shop)
	}
	gross := o.Decimal("grossAmount.amount", digits)
	if !gross.OK {
		p.Skip(billing.ByHand, "the transaction has no grossAmount: report it by hand")
		return
	}
	d.Amount(amount(gross), currency, digits)
	d.Add()
}
