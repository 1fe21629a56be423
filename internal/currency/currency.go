// Package currency has the table of currencies and the arithmetic of minor units, for package fprom and package money.
package currency

import "strings"

// iso4217 lists the active currencies, each with the number of digits of its minor unit.
const iso4217 = "" +
	"aed2afn2all2amd2aoa2ars2aud2awg2azn2bam2bbd2bdt2bhd3bif0bmd2bnd2bob2bov2brl2bsd2btn2bwp2byn2bzd2" +
	"cad2cdf2che2chf2chw2clf4clp0cny2cop2cou2crc2cup2cve2czk2djf0dkk2dop2dzd2egp2ern2etb2eur2fjd2fkp2" +
	"gbp2gel2ghs2gip2gmd2gnf0gtq2gyd2hkd2hnl2htg2huf2idr2ils2inr2iqd3irr2isk0jmd2jod3jpy0kes2kgs2khr2" +
	"kmf0kpw2krw0kwd3kyd2kzt2lak2lbp2lkr2lrd2lsl2lyd3mad2mdl2mga2mkd2mmk2mnt2mop2mru2mur2mvr2mwk2mxn2" +
	"mxv2myr2mzn2nad2ngn2nio2nok2npr2nzd2omr3pab2pen2pgk2php2pkr2pln2pyg0qar2ron2rsd2rub2rwf0sar2sbd2" +
	"scr2sdg2sek2sgd2shp2sle2sos2srd2ssp2stn2svc2syp2szl2thb2tjs2tmt2tnd3top2try2ttd2twd2tzs2uah2ugx0" +
	"usd2usn2uyi0uyu2uyw4uzs2ved2ves2vnd0vuv0wst2xaf0xcd2xcg2xof0xpf0yer2zar2zmw2zwg2" +
	"ang2bgn2cuc2hrk2sll2zwl2" // replaced since 2023, still in old invoices

// zeroDecimal lists the zero-decimal currencies on which the billing providers agree.
const zeroDecimal = "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf"

// Currency is one currency.
type Currency struct {
	Code   string // in lower case, as FirstPromoter's examples have it
	ISO    int    // number of digits of the minor unit in ISO 4217
	Digits int    // number of digits of FirstPromoter's minor unit
}

var currencies = func() map[string]Currency {
	m := make(map[string]Currency, len(iso4217)/4)
	for s := iso4217; s != ""; s = s[4:] {
		c := Currency{Code: s[:3], ISO: int(s[3] - '0'), Digits: 2}
		if strings.Contains(zeroDecimal, c.Code) {
			c.Digits = 0
		}
		m[c.Code] = c
	}
	return m
}()

// Lookup finds a currency by its code, in any case and with or without blanks around it.
func Lookup(code string) (Currency, bool) {
	code = strings.TrimSpace(code)
	if len(code) != 3 {
		return Currency{}, false
	}
	lower := [3]byte{code[0] | 0x20, code[1] | 0x20, code[2] | 0x20} // only a letter becomes a letter
	c, ok := currencies[string(lower[:])]
	return c, ok
}

// StripeDigits returns the number of decimal digits of Stripe's minor unit (https://docs.stripe.com/currencies), which Polar uses, too.
func StripeDigits(code string) int {
	c, _ := Lookup(code)
	switch c.Code {
	case "bhd", "jod", "kwd", "omr", "tnd":
		return 3
	case "ugx", "":
		return 2
	}
	return c.Digits
}
