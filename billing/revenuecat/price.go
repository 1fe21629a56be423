package revenuecat

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom/billing/internal/convert"
	"github.com/fprom-go/fprom/money"
)

// price sets the amount: the price without its taxes, rounded once, half to even, in FirstPromoter's minor units. The sign, which
// is negative for refunds, is ignored.
func price(p *payload, d *convert.Draft, e node) {
	paid, from := decimal(p, e, "price_in_purchased_currency")
	currency := e.Text("currency")
	if paid == nil {
		paid, from = decimal(p, e, "price")
		currency = convert.Text{S: "USD", From: from}
	}
	if paid == nil {
		p.Fail("event.price_in_purchased_currency", "is unknown, and so is price: enter the amount by hand")
		return
	}
	share, formula := afterDeductions(p, e)
	digits, ok := money.Exponent(currency.S)
	if n, set := p.Config().Exponents[strings.ToLower(currency.S)]; set {
		digits = n
	}
	if !ok || digits < 0 || digits > 18 {
		d.Amount(convert.Int{}, currency, 0) // says what is wrong with the currency
		return
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	n := new(big.Rat).Mul(paid.Abs(paid), share)
	amount := roundHalfEven(n.Mul(n, new(big.Rat).SetInt(scale)))
	if !amount.IsInt64() {
		p.Fail(from, "is too large")
		return
	}
	d.Amount(convert.Int{N: amount.Int64(), From: from + formula, OK: true}, currency, digits)
}

// afterDeductions is the share of the price that remains without tax and, with WithCommission, without the commission.
func afterDeductions(p *payload, e node) (share *big.Rat, formula string) {
	share = big.NewRat(1, 1)
	names := []string{"tax_percentage"}
	if p.Config().Set(optCommission) {
		names = append(names, "commission_percentage")
	}
	parts := []string{"1"}
	for _, name := range names {
		part, from := decimal(p, e, name)
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

// decimal reads a JSON number exactly as it is written, without floating point; nil if there is none.
func decimal(p *payload, e node, name string) (r *big.Rat, from string) {
	t := e.Text(name)
	if t.S == "" {
		return nil, ""
	}
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(t.S), "e")
	n, err := strconv.Atoi(exponent)
	plain := strings.Trim(mantissa, "-.0123456789") == ""
	if !plain || len(mantissa) > 64 || scientific && (err != nil || n < -64 || n > 64) {
		p.Fail(t.From, "is not a decimal number, or too long")
		return nil, ""
	}
	r, ok := new(big.Rat).SetString(t.S)
	if !ok {
		p.Fail(t.From, "is not a decimal number")
		return nil, ""
	}
	return r, t.From
}

func roundHalfEven(r *big.Rat) *big.Int {
	q, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int)) // r is not negative
	if c := rest.Lsh(rest, 1).Cmp(r.Denom()); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return q
}
