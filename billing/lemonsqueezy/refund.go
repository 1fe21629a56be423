package lemonsqueezy

import (
	"slices"
	"strconv"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/money"
)

// maxRefunds bounds the partial refunds of one order that are looked up.
const maxRefunds = 50

// refund takes back the new part of refunded_amount, which is a sum; see the package documentation.
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
		d.Minor(billing.BeforeTaxOfNew(sum, before, total, o.Int("tax")), o.Text("currency"))
	case s.ledger != nil:
		s.further(p, d, sale, billing.BeforeTax(sum, total, o.Int("tax")), o.Text("currency"))
	default:
		d.ID(sale)
		d.Minor(billing.BeforeTax(sum, total, o.Int("tax")), o.Text("currency"))
	}
	d.Add()
}

// further sets the event id and the amount of a refund: sum less the earlier refunds in the ledger, which is zero or less if nothing
// is new. sum is in Lemon Squeezy's minor units, the ledger in FirstPromoter's.
func (s settings) further(p *billing.Payload, d *billing.Draft, sale billing.Text, sum billing.Int, currency billing.Text) {
	keys := []string{fprom.KindRefund + ":" + sale.S}
	for n := 2; n <= maxRefunds; n++ {
		keys = append(keys, keys[0]+":"+strconv.Itoa(n))
	}
	before, n := int64(0), 0
	for e, err := range s.ledger.Entries(p.Context(), fprom.Filter{Keys: keys, Kind: fprom.KindRefund}) {
		if err != nil {
			p.Later(err)
			return
		}
		before += e.Amount
		n = max(n, slices.Index(keys, e.Key)+1) // an earlier one may be missing: a dead letter that was dropped
	}
	iso, _ := money.ISOExponent(currency.S)
	digits, _ := p.Exponent(currency.S)
	sum.N = money.Rescale(sum.N, iso, digits)
	if n > 0 {
		sale.S += ":" + strconv.Itoa(n+1)
	}
	d.ID(sale)
	d.Amount(sum.Minus(billing.Int{N: before, From: "outbox", OK: n > 0}), currency, digits)
}
