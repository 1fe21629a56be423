package currency_test

import (
	"math"
	"testing"

	"github.com/fprom-go/fprom/internal/currency"
)

func TestFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount int64
		code   string
		want   string
	}{
		{4900, "usd", "49.00 USD"},
		{5, "EUR", "0.05 EUR"},
		{0, "", "0.00"},
		{-150, "USD", "-1.50 USD"},
		{1500, "jpy", "1500 JPY"},
		{-3, "JPY", "-3 JPY"},
		{100, "new", "1.00 NEW"},
		{math.MinInt64, "USD", "-92233720368547758.08 USD"},
	} {
		if got := currency.Format(c.amount, c.code); got != c.want {
			t.Errorf("%d %s: %q, want %q", c.amount, c.code, got, c.want)
		}
	}
}
