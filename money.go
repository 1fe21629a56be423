package fprom

import (
	"math/bits"
	"strings"
)

// The amounts that FirstPromoter takes are integers: whole units of the zero-decimal currencies, hundredths of all
// others. For the three-decimal currencies (BHD, IQD, JOD, KWD, LYD, OMR, TND) and ISK, CLF and UYW, FirstPromoter
// documents nothing beyond "cents"; this package takes hundredths, which is unverified. Where an account turns out to
// expect something else, use ParseDecimal and Rescale with the exponent it expects.

// iso4217 lists the active currencies with the digits of their minor unit.
const iso4217 = "" +
	"aed2afn2all2amd2aoa2ars2aud2awg2azn2bam2bbd2bdt2bhd3bif0bmd2bnd2bob2bov2brl2bsd2btn2bwp2byn2bzd2" +
	"cad2cdf2che2chf2chw2clf4clp0cny2cop2cou2crc2cup2cve2czk2djf0dkk2dop2dzd2egp2ern2etb2eur2fjd2fkp2" +
	"gbp2gel2ghs2gip2gmd2gnf0gtq2gyd2hkd2hnl2htg2huf2idr2ils2inr2iqd3irr2isk0jmd2jod3jpy0kes2kgs2khr2" +
	"kmf0kpw2krw0kwd3kyd2kzt2lak2lbp2lkr2lrd2lsl2lyd3mad2mdl2mga2mkd2mmk2mnt2mop2mru2mur2mvr2mwk2mxn2" +
	"mxv2myr2mzn2nad2ngn2nio2nok2npr2nzd2omr3pab2pen2pgk2php2pkr2pln2pyg0qar2ron2rsd2rub2rwf0sar2sbd2" +
	"scr2sdg2sek2sgd2shp2sle2sos2srd2ssp2stn2svc2syp2szl2thb2tjs2tmt2tnd3top2try2ttd2twd2tzs2uah2ugx0" +
	"usd2usn2uyi0uyu2uyw4uzs2ved2ves2vnd0vuv0wst2xaf0xcd2xcg2xof0xpf0yer2zar2zmw2zwg2" +
	"ang2bgn2cuc2hrk2sll2zwl2" // replaced since 2023, still in old invoices

// zeroDecimal is the list on which the billing providers agree.
const zeroDecimal = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"

type currency struct {
	code     string // lower case
	iso, fpr int    // exponents
}

var currencies = func() map[[3]byte]currency {
	m := make(map[[3]byte]currency, len(iso4217)/4)
	for s := iso4217; s != ""; s = s[4:] {
		c := currency{code: s[:3], iso: int(s[3] - '0'), fpr: 2}
		if strings.Contains(zeroDecimal, c.code) {
			c.fpr = 0
		}
		m[[3]byte([]byte(c.code))] = c
	}
	return m
}()

func lookup(code string) (currency, bool) {
	code = strings.TrimSpace(code)
	if len(code) != 3 {
		return currency{}, false
	}
	c, ok := currencies[[3]byte{code[0] | 0x20, code[1] | 0x20, code[2] | 0x20}]
	return c, ok && isLetter(code[0]) && isLetter(code[1]) && isLetter(code[2])
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// wireCurrency is the code in lower case, as FirstPromoter's examples have it; empty for an unknown one.
func wireCurrency(code string) string {
	c, _ := lookup(code)
	return c.code
}

// Exponent is the number of decimal digits between a unit of currency and FirstPromoter's minor unit: 0 for the
// zero-decimal currencies (BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF), 2 for all others.
// The empty currency stands for the account's default and is taken to have 2. ok is false for an unknown code.
func Exponent(code string) (exponent int, ok bool) {
	if code == "" {
		return 2, true
	}
	c, ok := lookup(code)
	return c.fpr, ok
}

// ISOExponent is the number of digits of the currency's minor unit in ISO 4217: 0, 2, 3 or 4. Providers differ from it
// (see their packages under billing). ok is false for an unknown code.
func ISOExponent(code string) (exponent int, ok bool) {
	c, ok := lookup(code)
	return c.iso, ok
}

// ParseAmount reads a decimal amount in units of currency and returns it in FirstPromoter's minor units (see Exponent):
// "19.99" USD is 1999, "1999" JPY is 1999. Digits that the currency does not have must be zero; the third decimal of a
// three-decimal currency is rounded half to even. It takes digits, one point and a leading minus, nothing else: no
// exponent, no thousands separator, no space. The error is a *ValidationError of "Amount" or "Currency".
func ParseAmount(s, code string) (int64, error) {
	exp, ok := Exponent(code)
	if !ok {
		return 0, &ValidationError{"Currency", "is not an ISO 4217 code"}
	}
	if iso, _ := ISOExponent(code); iso > 2 && exp == 2 {
		n, err := ParseDecimal(s, iso)
		return Rescale(n, iso, exp), err
	}
	return ParseDecimal(s, exp)
}

// ParseDecimal reads a decimal number as an integer with exponent decimal digits: "19.9" with 2 is 1990. Further digits
// must be zero. The error is a *ValidationError of "Amount".
func ParseDecimal(s string, exponent int) (int64, error) {
	bad := func(reason string) (int64, error) { return 0, &ValidationError{"Amount", reason} }
	digits, negative := strings.CutPrefix(s, "-")
	whole, frac, point := strings.Cut(digits, ".")
	if !allDigits(whole) || point && !allDigits(frac) {
		return bad(`is not a plain decimal number such as "19.99"`)
	}
	if exponent < 0 || exponent > 18 {
		return bad("has an exponent out of range")
	}
	if len(frac) > exponent {
		if strings.Trim(frac[exponent:], "0") != "" {
			return bad("has more decimal digits than its currency")
		}
		frac = frac[:exponent]
	}
	whole = strings.TrimLeft(whole, "0")
	if len(whole)+exponent > 18 {
		return bad("is too large")
	}
	n, err := parseInt("0" + whole + frac + "000000000000000000"[:exponent-len(frac)])
	if err != nil {
		return bad("is too large")
	}
	if negative {
		n = -n
	}
	return n, nil
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// Rescale turns an amount with from decimal digits into one with to decimal digits, rounding half to even: 1235 fils
// (3) are 124 hundredths (2). It saturates where the result does not fit, and for exponents outside 0–18 returns 0.
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
	return mulDiv(amount, num, den)
}

// BeforeTax is the part of paid that is not tax, where an invoice over total contains tax: paid × (total−tax) / total,
// in integers, rounded half to even. It holds for tax-inclusive and -exclusive prices, since total has the tax in
// either, and for partial payments and refunds. It is 0 where nothing was paid, and paid where total is not positive
// or tax is negative; tax above total counts as total. Amounts are in one unit of any kind.
func BeforeTax(paid, total, tax int64) int64 {
	switch {
	case paid <= 0:
		return 0
	case total <= 0 || tax <= 0:
		return paid
	case tax >= total:
		return 0
	}
	return mulDiv(paid, total-tax, total)
}

// mulDiv is a × num / den with a 128-bit product, rounded half to even, saturating. num ≥ 0, den > 0.
func mulDiv(a, num, den int64) int64 {
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
