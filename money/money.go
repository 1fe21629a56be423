// Package money turns the amounts of billing providers into FirstPromoter's minor units where fprom.ParseAmount and
// fprom.BeforeTax do not suffice: for currencies whose unit an account or a provider sees differently.
//
// FirstPromoter takes integers: whole units of the zero-decimal currencies, hundredths of all others. For the
// three-decimal currencies (BHD, IQD, JOD, KWD, LYD, OMR, TND) and ISK, CLF and UYW it documents nothing beyond "cents";
// this package takes hundredths, which is unverified. Where an account turns out to expect something else, use
// ParseDecimal and Rescale with the exponent it expects.
package money

import (
	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/currency"
)

// Exponent is the number of decimal digits between a unit of currency and FirstPromoter's minor unit: 0 for the
// zero-decimal currencies (BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF), 2 for all others.
// The empty currency stands for the account's default and is taken to have 2. ok is false for an unknown code.
func Exponent(code string) (exponent int, ok bool) {
	if code == "" {
		return 2, true
	}
	c, ok := currency.Lookup(code)
	return c.Digits, ok
}

// ISOExponent is the number of digits of the currency's minor unit in ISO 4217: 0, 2, 3 or 4. Providers differ from it
// (see their packages under billing). ok is false for an unknown code.
func ISOExponent(code string) (exponent int, ok bool) {
	c, ok := currency.Lookup(code)
	return c.ISO, ok
}

// ParseDecimal reads a decimal number as an integer with exponent decimal digits: "19.9" with 2 is 1990. Further digits
// must be zero. The error is a *fprom.ValidationError of "Amount".
func ParseDecimal(s string, exponent int) (int64, error) {
	n, err := currency.ParseDecimal(s, exponent)
	if err != nil {
		return 0, &fprom.ValidationError{Field: "Amount", Reason: err.Error()}
	}
	return n, nil
}

// Rescale turns an amount with from decimal digits into one with to decimal digits, rounding half to even: 1235 fils
// (3) are 124 hundredths (2). It saturates where the result does not fit, and for exponents outside 0–18 returns 0.
func Rescale(amount int64, from, to int) int64 { return currency.Rescale(amount, from, to) }
