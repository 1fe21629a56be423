package currency_test

import (
	"strings"
	"testing"

	"github.com/fprom-go/fprom/internal/currency"
)

// A wrong digit makes every amount of a currency a hundred times too large or too small. All currencies that are not listed have two
// digits, at Stripe also ISK and UGX.
func TestTable(t *testing.T) {
	t.Parallel()
	zero := "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"
	iso, sent, stripe := map[int]string{}, map[int]string{}, map[int]string{}
	known := 0
	for a := 'a'; a <= 'z'; a++ {
		for b := 'a'; b <= 'z'; b++ {
			for c := 'a'; c <= 'z'; c++ {
				code := string([]rune{a, b, c})
				digits, ok := currency.Lookup(code)
				if !ok {
					continue
				}
				known++
				iso[digits.ISO] += " " + code
				sent[digits.Digits] += " " + code
				stripe[currency.StripeDigits(code)] += " " + code
			}
		}
	}
	for _, tt := range []struct{ name, got, want string }{
		{"ISO 4217, 0", iso[0], "bif clp djf gnf isk jpy kmf krw pyg rwf ugx uyi vnd vuv xaf xof xpf"},
		{"ISO 4217, 3", iso[3], "bhd iqd jod kwd lyd omr tnd"},
		{"ISO 4217, 4", iso[4], "clf uyw"},
		{"FirstPromoter, 0", sent[0], zero},
		{"Stripe, 0", stripe[0], strings.Replace(zero, "ugx ", "", 1)},
		{"Stripe, 3", stripe[3], "bhd jod kwd omr tnd"},
	} {
		if strings.TrimSpace(tt.got) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	if known != 170 || len(iso) != 4 || len(sent) != 2 || len(stripe) != 3 {
		t.Errorf("%d currencies with %d, %d and %d numbers of digits", known, len(iso), len(sent), len(stripe))
	}
	if c, ok := currency.Lookup(" USD\t"); !ok || c.Code != "usd" {
		t.Errorf("with blanks: %v, %v", c, ok)
	}
	if currency.StripeDigits("xx1") != 2 {
		t.Error("an unknown currency has other digits at Stripe")
	}
}
