package money_test

import (
	"errors"
	"math"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/money"
)

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		s        string
		exponent int
		want     int64
		wrong    bool
	}{
		{s: "19.9", exponent: 2, want: 1990},
		{s: "-19.90", exponent: 1, want: -199},
		{s: "42", exponent: 0, want: 42},
		{s: "0.000000000000000001", exponent: 18, want: 1},
		{s: "999999999999999999", exponent: 0, want: 999999999999999999},
		{s: "1000000000000000000", exponent: 0, wrong: true},
		{s: "1.5", exponent: 0, wrong: true},
		{s: "1", exponent: -1, wrong: true},
		{s: "1", exponent: 19, wrong: true},
		{s: "1e3", exponent: 2, wrong: true},
	} {
		got, err := money.ParseDecimal(test.s, test.exponent)
		var invalid *fprom.ValidationError
		if got != test.want || errors.As(err, &invalid) != test.wrong || test.wrong && invalid.Field != "Amount" {
			t.Errorf("ParseDecimal(%q, %d) = %d, %v; want %d", test.s, test.exponent, got, err, test.want)
		}
	}
}

func TestExponents(t *testing.T) {
	t.Parallel()
	for code, want := range map[string][2]int{
		"USD": {2, 2}, "eur": {2, 2}, "JPY": {0, 0}, "KRW": {0, 0}, "UGX": {0, 0}, "MGA": {0, 2}, "KWD": {2, 3}, "BHD": {2, 3},
		"ISK": {2, 0}, "CLF": {2, 4}, "UYW": {2, 4}, "HRK": {2, 2}, "XPF": {0, 0},
	} {
		fpr, ok := money.Exponent(code)
		iso, ok2 := money.ISOExponent(code)
		if fpr != want[0] || iso != want[1] || !ok || !ok2 {
			t.Errorf("%s: %d %v, ISO %d %v; want %v", code, fpr, ok, iso, ok2, want)
		}
	}
	for _, code := range []string{"XXX", "US", "USDX", "U D", "000", "ﬀﬀ", "[]^"} {
		if _, ok := money.Exponent(code); ok {
			t.Errorf("Exponent(%q) is known", code)
		}
		if _, ok := money.ISOExponent(code); ok {
			t.Errorf("ISOExponent(%q) is known", code)
		}
	}
	if n, ok := money.Exponent(""); n != 2 || !ok {
		t.Errorf("the account's default: %d, %v", n, ok)
	}
}

func TestRescale(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		amount   int64
		from, to int
		want     int64
	}{
		{1235, 3, 2, 124},
		{1245, 3, 2, 124},
		{-1245, 3, 2, -124},
		{1999, 2, 2, 1999},
		{1999, 0, 2, 199900},
		{150, 2, 0, 2},
		{250, 2, 0, 2},
		{math.MaxInt64, 0, 18, math.MaxInt64},
		{math.MinInt64, 0, 2, -math.MaxInt64},
		{math.MaxInt64, 18, 0, 9},
		{1, -1, 2, 0},
		{1, 2, 19, 0},
		{math.MaxInt64, 19, 2, 0},
		{math.MaxInt64, 2, -1, 0},
		{1e18, 0, 1, math.MaxInt64},
		{2e18, 0, 1, math.MaxInt64},
	} {
		if got := money.Rescale(test.amount, test.from, test.to); got != test.want {
			t.Errorf("Rescale(%d, %d, %d) = %d, want %d", test.amount, test.from, test.to, got, test.want)
		}
	}
}
