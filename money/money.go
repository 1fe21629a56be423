// Package money converts amounts of billing providers to FirstPromoter's minor units. Use it where fprom.ParseAmount and
// fprom.BeforeTax are not enough: for currencies for which a provider or an account uses another minor unit.
//
// FirstPromoter takes integers: whole units of zero-decimal currencies, hundredths of all others. For the three-decimal currencies
// (BHD, IQD, JOD, KWD, LYD, OMR, TND) and for ISK, CLF and UYW it documents only "cents"; this package uses hundredths, which is not
// verified. If your account expects something else, use ParseDecimal and Rescale with the exponent that it expects.
package money

import (
	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/currency"
)

// Exponent returns the number of decimal digits of FirstPromoter's minor unit: 0 for the zero-decimal currencies (BIF CLP DJF GNF JPY
// KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF), 2 for all others. An empty code stands for the account's default currency and gives 2.
// ok is false for an unknown code.
func Exponent(code string) (exponent int, ok bool) {
	if code == "" {
		return 2, true
	}
	c, ok := currency.Lookup(code)
	return c.Digits, ok
}

// ISOExponent returns the number of decimal digits of the currency's minor unit in ISO 4217: 0, 2, 3 or 4. Some providers use other
// minor units (see their packages below billing). ok is false for an unknown code.
func ISOExponent(code string) (exponent int, ok bool) {
	c, ok := currency.Lookup(code)
	return c.ISO, ok
}

// ParseDecimal parses a decimal number and returns it times 10^exponent: "19.9" with exponent 2 is 1990. Further digits must be zero.
// The error is a *fprom.ValidationError of "Amount".
func ParseDecimal(s string, exponent int) (int64, error) {
	n, err := currency.ParseDecimal(s, exponent)
	if err != nil {
		return 0, &fprom.ValidationError{Field: "Amount", Reason: err.Error()}
	}
	return n, nil
}

// Rescale converts an amount with from decimal digits to one with to decimal digits, rounded half to even: 1235 fils (3) are 124
// hundredths (2). If the result does not fit, it returns the largest or smallest int64. For exponents outside 0–18 it returns 0.
func Rescale(amount int64, from, to int) int64 { return currency.Rescale(amount, from, to) }
