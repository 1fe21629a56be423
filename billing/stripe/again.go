package stripe

import (
	"errors"
	"iter"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

var errNoAnswerYet = errors.New("the sale of the session's invoice has no answer yet, and may need the session's tracking id")

// attributed ends the event id of a sale that is sent again.
const attributed = ":attributed"

func saleKey(id string) string { return fprom.KindSale + ":" + id }

// sales looks up sales in the ledger.
func (s settings) sales(p *billing.Payload, keys ...string) iter.Seq2[fprom.Entry, error] {
	return s.ledger.Entries(p.Context(), fprom.Filter{Keys: keys, Kind: fprom.KindSale})
}

// again sends the sale of a session's invoice a second time, with the attribution of the session, if it was no referral at first.
func (s settings) again(p *billing.Payload, o billing.Node) {
	invoice := o.Text("invoice", "invoice.id")
	// Stripe sends both at once. A sale that is not in the ledger after the sign-up is stored is delivered after it, unless the transaction
	// of riverqueue that stores it has begun before that of the sign-up, and ends after this look.
	if s.ledger == nil || !p.ConvertAgain() {
		return
	}
	for e, err := range s.sales(p, saleKey(invoice.S)) {
		switch {
		case err != nil:
			p.Later(err)
		case e.State == fprom.StateWaiting:
			p.Later(errNoAnswerYet)
		case e.Outcome == fprom.NotReferral:
			d := p.Sale()
			invoice.S += attributed
			d.ID(invoice)
			s.buyer(d, o)
			currency := billing.Text{S: e.Currency, From: "outbox"}
			digits, _ := p.Exponent(currency.S)
			d.Amount(billing.Int{N: e.Amount, From: "outbox", OK: true}, currency, digits)
			d.Add()
		}
	}
}

// nameSale names the sale of a refund by the id under which again has sent it, or will: FirstPromoter has no sale with the first id.
func (s settings) nameSale(p *billing.Payload, d *billing.Draft) {
	if s.ledger == nil {
		return
	}
	d.RenameSale(func(id string) string {
		for e, err := range s.sales(p, saleKey(id), saleKey(id+attributed)) {
			if err != nil {
				p.Later(err)
				break
			}
			if e.Outcome == fprom.NotReferral || e.Key == saleKey(id+attributed) {
				return id + attributed
			}
		}
		return id
	})
}
