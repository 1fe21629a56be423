package fprom

import "github.com/fprom-go/fprom/internal/currency"

// ParseAmount reads a decimal amount in units of a currency and returns it in FirstPromoter's minor units: whole units of the
// zero-decimal currencies, hundredths of all others (see money.Exponent). "19.99" USD is 1999, and "1999" JPY is 1999. code is
// an ISO 4217 code in any case; an empty code means the account's default currency, with hundredths. Decimals that only
// ISO 4217 has, as the third one of KWD, are rounded half to even; further ones must be zero. s may have digits, one point and a
// leading minus: no exponent, no thousands separator, no space. The error is a *ValidationError of "Amount" or "Currency".
func ParseAmount(s, code string) (int64, error) {
	c, ok := currency.Lookup(code)
	switch {
	case code == "":
		c = currency.Currency{ISO: 2, Digits: 2} // the account's default
	case !ok:
		return 0, &ValidationError{"Currency", "is not an ISO 4217 code such as USD"}
	}
	digits := max(c.Digits, c.ISO)
	n, err := currency.ParseDecimal(s, digits)
	if err != nil {
		return 0, &ValidationError{"Amount", err.Error()}
	}
	return currency.Rescale(n, digits, c.Digits), nil
}

// BeforeTax returns the part of paid that is not tax. total is the sum of the invoice, and contains tax. The result is
// paid × (total−tax) / total, in integers, rounded half to even. Prices may include the tax or not, since total always
// contains it. paid may be a partial payment or a refund. All amounts are in the same unit, whichever it is.
// The result is 0 if nothing was paid, and paid if total is not positive or tax is negative. Tax above total counts as total.
func BeforeTax(paid, total, tax int64) int64 {
	if total <= 0 || tax <= 0 {
		return max(paid, 0)
	}
	return currency.MulDiv(max(paid, 0), max(total-tax, 0), total)
}
