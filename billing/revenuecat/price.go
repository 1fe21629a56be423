package revenuecat

import (
	"math/big"
	"strings"

	"github.com/fprom-go/fprom/billing"
)

// price returns what was paid including taxes, and the currency. from is the origin of the price.
func price(e billing.Node) (paid *big.Rat, currency, from billing.Text) {
	currency = e.Text("currency")
	if paid = e.Key("price_in_purchased_currency").Rat(); paid != nil && currency.S != "" {
		return paid, currency, e.Text("price_in_purchased_currency")
	}
	from = e.Text("price")
	return e.Key("price").Rat(), billing.Text{S: "USD", From: from.From}, from
}

// amount sets the amount: the price without its taxes, rounded once, half to even, in FirstPromoter's minor units. The
// sign, which is negative for refunds, is ignored.
func (s settings) amount(p *billing.Payload, d *billing.Draft, e billing.Node) {
	paid, currency, from := price(e)
	if paid == nil {
		p.Fail("event.price_in_purchased_currency", "is unknown or has no currency, and price is unknown: enter the amount by hand")
		return
	}
	share, formula := s.afterDeductions(p, e)
	digits, _ := p.Exponent(currency.S)
	d.Amount(e.Scaled(paid.Mul(paid.Abs(paid), share), digits, from.From+formula), currency, digits)
}

// afterDeductions returns the share of the price that is left without the tax and, with WithCommission, without the commission.
func (s settings) afterDeductions(p *billing.Payload, e billing.Node) (share *big.Rat, formula string) {
	share = big.NewRat(1, 1)
	names := []string{"tax_percentage"}
	if s.commission {
		names = append(names, "commission_percentage")
	}
	parts := []string{"1"}
	for _, name := range names {
		part, from := e.Key(name).Rat(), e.Text(name).From
		if part == nil {
			continue
		}
		if part.Sign() < 0 || part.Cmp(big.NewRat(1, 1)) > 0 {
			p.Fail(from, "is not between 0 and 1")
			continue
		}
		share.Sub(share, part)
		parts = append(parts, from)
	}
	if len(parts) > 1 {
		formula = " × (" + strings.Join(parts, " − ") + ")"
	}
	return share, formula
}
