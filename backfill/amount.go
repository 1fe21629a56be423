package backfill

import (
	"errors"
	"strconv"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/currency"
)

// ErrMixedAmounts is wrapped by the error that ends the reading of a file in which an amount has another mark than
// Format.Decimal.
var ErrMixedAmounts = errors.New(`the amount has a mark that is not the decimal mark: remove thousands separators, or name the other decimal mark (--decimal)`)

// ErrDecimalMark is the Err of a Row whose amount has a decimal mark although the file is read in minor units. Then the whole numbers
// of the file may be units, too, and are read as hundredths.
var ErrDecimalMark error = &fprom.ValidationError{Field: "Amount", Reason: "has a decimal mark, but the file is read in minor units (1999 for 19.99): write it in minor units, or read the whole file in major ones (--amount major)"}

// ErrZeroAmount is the Err of a Row whose amount is zero. It goes before missing and wrong ids and customers.
var ErrZeroAmount error = &fprom.ValidationError{Field: "Amount", Reason: "is zero: free trials and empty invoices are not reported"}

// ParseAmount reads an amount in the form of f, and returns it in FirstPromoter's minor units. It accepts digits, one decimal
// mark and a leading minus: no thousands separator, no currency sign, no exponent. code is the currency's, as in fprom.ParseAmount.
// Three digits behind the mark, as in 1.000, are refused where the currency has fewer. The error is a *fprom.ValidationError of
// "Amount" or "Currency", or wraps ErrMixedAmounts.
func (f Format) ParseAmount(s, code string) (int64, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, &fprom.ValidationError{Field: "Amount", Reason: "is missing"}
	}
	if f.Amount == Minor {
		return minorAmount(s)
	}
	other := ","
	if f.Decimal == ',' {
		other = "."
	}
	if strings.Contains(s, other) {
		if isNumber(strings.TrimPrefix(s, "-")) {
			return 0, ErrMixedAmounts
		}
		return 0, &fprom.ValidationError{Field: "Amount", Reason: "is not a plain decimal number such as 19.99"}
	}
	s = strings.ReplaceAll(s, ",", ".")
	if isNumber(strings.TrimPrefix(s, "-")) && mayBeThousands(s, code) {
		return 0, &fprom.ValidationError{Field: "Amount", Reason: "has three digits behind its mark: is it a thousands separator? Write two, or none"}
	}
	return fprom.ParseAmount(s, code)
}

// mayBeThousands reports whether the point of s may separate thousands: 1.000 is a thousand to half of the world.
func mayBeThousands(s, code string) bool {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	c, _ := currency.Lookup(code)
	return len(fraction) == 3 && len(whole) <= 3 && !strings.HasPrefix(whole, "0") && c.ISO < 3
}

func minorAmount(s string) (int64, error) {
	bad := func(reason string) (int64, error) { return 0, &fprom.ValidationError{Field: "Amount", Reason: reason} }
	digits := strings.TrimPrefix(s, "-")
	switch {
	case !isNumber(digits):
		return bad("is not a whole number such as 1999")
	case strings.ContainsAny(digits, ".,"):
		return 0, ErrDecimalMark
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return bad("is too large")
	}
	return n, nil
}

// isNumber reports whether s consists of digits, points and commas.
func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789.,") == "" }
