package fprom

import "github.com/fprom-go/fprom/internal/currency"

// ParseAmount reads a decimal amount in units of currency and returns it in FirstPromoter's minor units, which are whole
// units of the zero-decimal currencies and hundredths of all others (money.Exponent): "19.99" USD is 1999, "1999" JPY is
// 1999. Digits that the currency does not have must be zero; the third decimal of a three-decimal currency is rounded
// half to even. It takes digits, one point and a leading minus, nothing else: no exponent, no thousands separator, no
// space. The error is a *ValidationError of "Amount" or "Currency".
func ParseAmount(s, code string) (int64, error) {
	c, ok := currency.Lookup(code)
	switch {
	case code == "":
		c = currency.Currency{ISO: 2, Digits: 2} // the account's default
	case !ok:
		return 0, &ValidationError{"Currency", "is not an ISO 4217 code such as USD"}
	}
	digits := c.Digits
	if digits > 0 {
		digits = max(digits, c.ISO)
	}
	n, err := currency.ParseDecimal(s, digits)
	if err != nil {
		return 0, &ValidationError{"Amount", err.Error()}
	}
	return currency.Rescale(n, digits, c.Digits), nil
}

// BeforeTax is the part of paid that is not tax, where an invoice over total contains tax: paid × (total−tax) / total,
// in integers, rounded half to even. It holds for tax-inclusive and -exclusive prices, since total has the tax in
// either, and for partial payments and refunds. It is 0 where nothing was paid, and paid where total is not positive
// or tax is negative; tax above total counts as total. Amounts are in one unit of any kind.
func BeforeTax(paid, total, tax int64) int64 {
	switch {
	case paid <= 0:
		return 0
	case total <= 0 || tax <= 0:
		return paid
	case tax >= total:
		return 0
	}
	return currency.MulDiv(paid, total-tax, total)
}
