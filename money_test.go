package fprom_test

import (
	"errors"
	"math"
	"testing"

	"github.com/fprom-go/fprom"
)

func TestParseAmount(t *testing.T) {
	t.Parallel()
	tests := []struct {
		s, currency string
		want        int64
		field       string // of the error; empty: none
	}{
		{"19.99", "USD", 1999, ""},
		{"19.99", "usd", 1999, ""},
		{"19.99", "", 1999, ""},
		{"1999", "JPY", 1999, ""},
		{"1999.00", "JPY", 1999, ""},
		{"0", "USD", 0, ""},
		{"0.01", "USD", 1, ""},
		{"19.9", "EUR", 1990, ""},
		{"19", "EUR", 1900, ""},
		{"0019.990000", "USD", 1999, ""},
		{"-19.99", "USD", -1999, ""},
		{"-0.00", "USD", 0, ""},
		{"5000", "UGX", 5000, ""},   // zero-decimal at the providers
		{"5000", "ISK", 500000, ""}, // not among them: hundredths
		{"1.234", "KWD", 123, ""},   // three decimals: hundredths, half to even
		{"1.235", "KWD", 124, ""},   //
		{"1.245", "KWD", 124, ""},   //
		{"-1.235", "KWD", -124, ""}, //
		{"1.2345", "CLF", 123, ""},  // four
		{"1.5", "MGA", 2, ""},       // none here, two in ISO 4217
		{"50.5", "ISK", 5050, ""},   // two here, none in ISO 4217
		{"9999999999999999", "USD", 999999999999999900, ""},
		{"99999999999999999", "USD", 0, "Amount"},
		{"19.999", "USD", 0, "Amount"},
		{"1999.5", "JPY", 0, "Amount"},
		{"1.2345", "KWD", 0, "Amount"},
		{"19.99", "XYZ", 0, "Currency"},
		{"19.99", "DOLLAR", 0, "Currency"},
	}
	for _, test := range tests {
		got, err := fprom.ParseAmount(test.s, test.currency)
		checkAmount(t, test.s+" "+test.currency, got, test.want, err, test.field)
	}
	for _, s := range []string{
		"", "-", ".", "+1", "1.", ".5", "1,000", "1.000,50", "1e3", "0x10", " 1", "1 ", "1_000", "--1", "1.2.3", "NaN", "Inf", "١", "1\n",
		"1.-5", "- 1", "$5", "\x00",
	} {
		got, err := fprom.ParseAmount(s, "USD")
		checkAmount(t, s, got, 0, err, "Amount")
	}
}

func checkAmount(t *testing.T, name string, got, want int64, err error, field string) {
	t.Helper()
	var invalid *fprom.ValidationError
	if got != want || (err == nil) != (field == "") || err != nil && (!errors.As(err, &invalid) || invalid.Field != field) {
		t.Errorf("%q: %d, %v; want %d and an error of %q", name, got, err, want, field)
	}
}

func TestBeforeTax(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ paid, total, tax, want int64 }{
		{2380, 2380, 380, 2000}, // all of an invoice with 19 %
		{1190, 2380, 380, 1000}, // half of it
		{2000, 2000, 0, 2000},
		{2000, 0, 0, 2000},
		{2000, 0, 3, 2000},
		{2000, -5, 3, 2000},
		{2000, 2380, -1, 2000},
		{2000, 2380, 2380, 0},
		{2000, 2380, 9999, 0},
		{0, 2380, 380, 0},
		{-100, 2380, 380, 0},
		{1, 4, 2, 0}, // 0.5 to even
		{3, 4, 2, 2}, // 1.5 to even
		{math.MaxInt64, math.MaxInt64, 1, math.MaxInt64 - 1},
		{math.MaxInt64, 2, 1, math.MaxInt64/2 + 1}, // …3.5 to even
		{math.MaxInt64, 1, 0, math.MaxInt64},
		{math.MinInt64, 1, 1, 0},
		{1, 2, 0, 1},
		{5, 1, 1, 0},
	} {
		if got := fprom.BeforeTax(test.paid, test.total, test.tax); got != test.want {
			t.Errorf("BeforeTax(%d, %d, %d) = %d, want %d", test.paid, test.total, test.tax, got, test.want)
		}
	}
}
