package billing

import (
	"errors"

	"github.com/fprom-go/fprom"
)

// event returns the event that the draft holds. An optional field with an invalid value is left out: the sale must not be lost
// because of a plan name.
func (d *Draft) event() fprom.Event {
	optional := map[string]struct {
		name  string
		field *string
	}{
		"Plan": {"plan", &d.e.Plan}, "PromoCode": {"promo_code", &d.e.PromoCode}, "TID": {"tid", &d.e.TID},
		"RefID": {"ref_id", &d.e.RefID}, "SaleEventID": {"sale_event_id", &d.saleID},
	}
	for range len(optional) {
		var wrong *fprom.ValidationError
		if !errors.As(d.build().Validate(), &wrong) {
			break
		}
		o, ok := optional[wrong.Field]
		if !ok {
			break
		}
		d.forget(o.name, o.field)
	}
	return d.build()
}

func (d *Draft) build() fprom.Event {
	e := d.e
	switch d.kind {
	case fprom.KindSale:
		return e
	case fprom.KindRefund:
		return fprom.Refund{
			EventID: e.EventID, Email: e.Email, UID: e.UID, Amount: e.Amount, Currency: e.Currency, Quantity: e.Quantity,
			SaleEventID: d.saleID,
		}
	case fprom.KindSignup:
		return fprom.Signup{Email: e.Email, UID: e.UID, TID: e.TID, RefID: e.RefID}
	default:
		return fprom.Cancellation{Email: e.Email, UID: e.UID}
	}
}

// wire lists the fields of each kind in the order in which Explain shows them.
var wire = map[string][]string{
	fprom.KindSale:         {"event_id", "email", "uid", "amount", "currency", "quantity", "plan", "promo_code", "tid", "ref_id"},
	fprom.KindRefund:       {"event_id", "email", "uid", "amount", "currency", "quantity", "sale_event_id"},
	fprom.KindSignup:       {"email", "uid", "tid", "ref_id"},
	fprom.KindCancellation: {"email", "uid"},
}

// trace returns where the fields of the event came from, in the order of wire.
func (d *Draft) trace() []Field {
	var out []Field
	for _, name := range wire[d.kind] {
		for _, f := range d.fields {
			if f.Name == name {
				out = append(out, f)
			}
		}
	}
	return out
}
