package stripe

import (
	"errors"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

var errNoAnswerYet = errors.New("the sale of the session's invoice has no answer yet, and may need the session's tracking id")

// again sends the sale of a session's invoice a second time, with the attribution of the session, if it was no referral at first.
func (s settings) again(p *billing.Payload, o billing.Node) {
	invoice := o.Text("invoice", "invoice.id")
	if s.ledger == nil || invoice.S == "" {
		return
	}
	filter := fprom.Filter{Keys: []string{fprom.KindSale + ":" + invoice.S}, Kind: fprom.KindSale}
	for e, err := range s.ledger.Entries(p.Context(), filter) {
		switch {
		case err != nil:
			p.Later(err)
		case e.State == fprom.StateWaiting:
			p.Later(errNoAnswerYet)
		case e.Outcome == fprom.NotReferral:
			d := p.Sale()
			invoice.S += ":attributed"
			d.ID(invoice)
			s.buyer(d, o)
			currency := billing.Text{S: e.Currency, From: "outbox"}
			digits, _ := p.Exponent(currency.S)
			d.Amount(billing.Int{N: e.Amount, From: "outbox", OK: true}, currency, digits)
			d.Add()
		}
	}
}
