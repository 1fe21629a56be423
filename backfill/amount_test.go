package backfill_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fprom-go/fprom/backfill"
	"github.com/fprom-go/fprom/money"
)

// Against exact arithmetic: an amount is what the digits say, in the currency's minor units, or it is refused.
func TestAmountsAgainstBig(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	currencies := []string{"USD", "eur", "JPY", "KWD", "CLF", "ISK", ""}
	accepted := 0
	for range 60_000 {
		f := backfill.Format{Amount: backfill.Major, Decimal: []rune{'.', ','}[rng.IntN(2)]}
		if rng.IntN(3) == 0 {
			f.Amount = backfill.Minor
		}
		currency := currencies[rng.IntN(len(currencies))]
		s := digits(rng, rng.IntN(19))
		if rng.IntN(2) == 0 {
			frac := digits(rng, 1+rng.IntN(4))
			if rng.IntN(2) == 0 {
				frac += strings.Repeat("0", rng.IntN(4))
			}
			s += string(f.Decimal) + frac
		}
		if rng.IntN(5) == 0 {
			s = "-" + s
		}
		got, err := f.ParseAmount(s, currency)
		want, ok := exact(s, currency, f)
		if (err == nil) != ok || ok && got != want {
			t.Fatalf("%+v %q %s: %d %v, want %d %v", f, s, currency, got, err, want, ok)
		}
		if ok {
			accepted++
		}
	}
	if accepted < 15_000 {
		t.Errorf("only %d of the amounts were good ones", accepted)
	}
}

func digits(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + rng.IntN(10))
	}
	return string(b)
}

// exact is the amount by exact arithmetic; ok is false where there is none to be had.
func exact(s, currency string, f backfill.Format) (n int64, ok bool) {
	whole, frac, point := strings.Cut(strings.TrimPrefix(s, "-"), string(f.Decimal))
	if whole == "" || point && (frac == "" || f.Amount == backfill.Minor) {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(strings.ReplaceAll(s, ",", "."))
	if !ok {
		return 0, false
	}
	iso, _ := money.Exponent(currency)
	decimals := iso
	if c := strings.ToUpper(currency); f.Amount == backfill.Major && (c == "KWD" || c == "CLF") { // ISO has more digits than FirstPromoter
		decimals = map[string]int{"KWD": 3, "CLF": 4}[c]
	}
	if f.Amount == backfill.Minor {
		decimals, iso = 0, 0
	} else if len(frac) == 3 && len(whole) <= 3 && whole[0] != '0' && decimals < 3 {
		return 0, false // it may be a thousand
	}
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)))
	if !r.IsInt() || f.Amount == backfill.Major && len(strings.TrimLeft(strings.Trim(whole, "-"), "0"))+decimals > 18 {
		return 0, false
	}
	v := r.Num()
	if f.Amount == backfill.Major {
		v = rescale(v, decimals, iso)
	}
	return v.Int64(), v.IsInt64()
}

// rescale takes digits off, half to even.
func rescale(n *big.Int, from, to int) *big.Int {
	if from <= to {
		return new(big.Int).Set(n)
	}
	den := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(from-to)), nil)
	q, m := new(big.Int).QuoRem(new(big.Int).Abs(n), den, new(big.Int))
	switch twice := m.Lsh(m, 1); twice.Cmp(den) {
	case 1:
		q.Add(q, big.NewInt(1))
	case 0:
		if q.Bit(0) == 1 {
			q.Add(q, big.NewInt(1))
		}
	}
	if n.Sign() < 0 {
		q.Neg(q)
	}
	return q
}

// What is no plain number is refused, and never read as another one.
func FuzzAmount(f *testing.F) {
	for _, s := range []string{"1999", "19.99", "19,99", "1,999.00", "$5", "1e3", "٣", "-0", " 7 ", "0x10", "1_000", "+5", "∞", ".5", "5."} {
		f.Add(s, "USD", true)
		f.Add(s, "JPY", false)
	}
	f.Add("--7", "USD", false)
	f.Add("1444444444444444444", "USD", false)
	f.Add("9444444444444444444", "USD", false)
	f.Fuzz(func(t *testing.T, s, currency string, isMajor bool) {
		format := minor
		if isMajor {
			format = major
		}
		n, err := format.ParseAmount(s, currency)
		if err != nil {
			return
		}
		trimmed := strings.TrimSpace(s)
		if strings.Trim(strings.TrimPrefix(trimmed, "-"), "0123456789.") != "" {
			t.Errorf("%q was read as %d", s, n)
		}
		format.Decimal = '.'
		if want, ok := exact(trimmed, currency, format); currency == "USD" && (!ok || want != n) {
			t.Errorf("%q: %d, want %s", s, n, fmt.Sprint(want, ok))
		}
	})
}

// A refused amount has the right reason: no thousands are searched in what is no number.
func TestReasonOfAWrongAmount(t *testing.T) {
	t.Parallel()
	f := backfill.Format{Amount: backfill.Major}
	for s, want := range map[string]string{"1.000": "three digits", "(5.00)": "not a plain decimal", "5.00-": "not a plain decimal", "5.00 €": "not a plain decimal"} {
		if _, err := f.ParseAmount(s, "USD"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", s, err, want)
		}
	}
}
