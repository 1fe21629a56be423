package lemonsqueezy

import (
	"strconv"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/money"
)

// maxRefunds is how many partial refunds of one order are looked up.
const maxRefunds = 50

// refund takes back what is new in the sum of all refunds, as far as that is known; see the package documentation.
func (s settings) refund(p *billing.Payload, o billing.Node, sale billing.Text) {
	sum, total := o.Int("refunded_amount"), o.Int("total")
	if !sum.OK {
		sum = total
	}
	d := p.Refund()
	customer(p, d, o)
	d.Payment(sale)
	d.SaleID(sale)
	switch before := d.Refunded(); {
	case before.OK:
		id := sale
		id.S += ":" + o.Text("refunded_amount", "total").S
		id.From += " and " + sum.From
		d.ID(id)
		d.Minor(billing.BeforeTax(sum.Minus(before), total, o.Int("tax")), o.Text("currency"))
	case s.ledger != nil:
		if !s.further(p, d, sale, billing.BeforeTax(sum, total, o.Int("tax")), o.Text("currency")) {
			return
		}
	default:
		d.ID(sale)
		d.Minor(billing.BeforeTax(sum, total, o.Int("tax")), o.Text("currency"))
	}
	d.Add()
}

// further takes from sum, in Lemon Squeezy's minor units, what the ledger says was given back before, in FirstPromoter's.
// It reports whether there is anything new.
func (s settings) further(p *billing.Payload, d *billing.Draft, sale billing.Text, sum billing.Int, currency billing.Text) bool {
	keys := []string{fprom.KindRefund + ":" + sale.S}
	for n := 2; n <= maxRefunds; n++ {
		keys = append(keys, keys[0]+":"+strconv.Itoa(n))
	}
	before, n := int64(0), 0
	for e, err := range s.ledger.Entries(p.Context(), fprom.Filter{Keys: keys, Kind: fprom.KindRefund}) {
		if err != nil {
			p.Later(err)
			return false
		}
		before += e.Amount
		n++
	}
	iso, _ := money.ISOExponent(currency.S)
	digits, _ := p.Exponent(currency.S)
	sum.N = money.Rescale(sum.N, iso, digits)
	if n > 0 && sum.OK && sum.N <= before {
		p.Skip(billing.NothingPaid, "the refunds that were reported before are "+strconv.FormatInt(before, 10)+", and "+sum.From+" is no more")
		return false
	}
	if n > 0 {
		sale.S += ":" + strconv.Itoa(n+1)
	}
	d.ID(sale)
	d.Amount(sum.Minus(billing.Int{N: before, From: "outbox", OK: n > 0}), currency, digits)
	return true
}
