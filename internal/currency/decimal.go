package currency

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
)

// ParseDecimal parses a decimal number and returns it times 10^exponent. Further digits must be zero. The error says what is wrong
// with the amount, without a prefix.
func ParseDecimal(s string, exponent int) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, frac, point := strings.Cut(digits, ".")
	if !allDigits(whole) || point && !allDigits(frac) {
		return 0, errors.New(`is not a plain decimal number such as "19.99"`)
	}
	if exponent < 0 || exponent > 18 {
		return 0, errors.New("has an exponent out of range")
	}
	if len(frac) > exponent {
		if strings.Trim(frac[exponent:], "0") != "" {
			return 0, errors.New("has more decimal digits than its currency: round it, or name the right currency")
		}
		frac = frac[:exponent]
	}
	whole = strings.TrimLeft(whole, "0")
	if len(whole)+exponent > 18 {
		return 0, errors.New("is too large")
	}
	n, err := strconv.ParseInt("0"+whole+frac+strings.Repeat("0", exponent-len(frac)), 10, 64)
	if negative {
		n = -n
	}
	return n, err
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Rescale converts an amount with from decimal digits to one with to decimal digits, rounded half to even. If the result does not fit,
// it saturates. For exponents outside 0–18 it returns 0.
func Rescale(amount int64, from, to int) int64 {
	if from < 0 || from > 18 || to < 0 || to > 18 {
		return 0
	}
	num, den := int64(1), int64(1)
	for ; from < to; from++ {
		num *= 10
	}
	for ; from > to; from-- {
		den *= 10
	}
	return MulDiv(amount, num, den)
}

// MulDiv returns a × num / den, rounded half to even and saturated. The product has 128 bits. num ≥ 0, den > 0.
func MulDiv(a, num, den int64) int64 {
	const maxInt = 1<<63 - 1
	negative := a < 0
	u := uint64(a)
	if negative {
		u = -u
	}
	hi, lo := bits.Mul64(u, uint64(num))
	q := uint64(maxInt)
	if hi < uint64(den) {
		var r uint64
		q, r = bits.Div64(hi, lo, uint64(den))
		if half := uint64(den) - r; r > half || r == half && q&1 == 1 {
			q++
		}
		q = min(q, maxInt)
	}
	if negative {
		return -int64(q)
	}
	return int64(q)
}

// Format writes an amount of FirstPromoter's minor units in units of the currency, followed by its code: "49.00 USD". An empty
// or unknown code is taken to have hundredths.
func Format(amount int64, code string) string {
	digits := 2
	if c, ok := Lookup(code); ok {
		digits = c.Digits
	}
	sign, s := "", strconv.FormatInt(amount, 10)
	if amount < 0 {
		sign, s = "-", s[1:]
	}
	if digits > 0 {
		s = strings.Repeat("0", max(digits+1-len(s), 0)) + s
		s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	}
	return strings.TrimSpace(sign + s + " " + strings.ToUpper(code))
}
