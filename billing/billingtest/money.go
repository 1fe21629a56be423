package billingtest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// ByName returns a Suite.For that derives the options of a fixture from its name:
//
//	trial_signup       WithTrialSignups
//	option_off         WithoutDisputes
//	test_mode_on       WithTestMode
//	lookup             WithCustomer, which returns ada@example.com and the tid tid-of-customer
//	partial, _payment  WithPayment, which returns p with the payment id as SaleEventID
func ByName(v billing.Provider, p billing.Payment) func(fixture string) (billing.Provider, []billing.Option) {
	payment := billing.WithPayment(func(_ context.Context, id string) (billing.Payment, error) {
		p := p
		p.SaleEventID = id
		return p, nil
	})
	customer := billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
		return billing.Customer{Email: "ada@example.com", TID: "tid-of-customer"}, nil
	})
	return func(fixture string) (billing.Provider, []billing.Option) {
		var opts []billing.Option
		for part, o := range map[string]billing.Option{
			"trial_signup": billing.WithTrialSignups(),
			"option_off":   billing.WithoutDisputes(),
			"test_mode_on": billing.WithTestMode(),
			"lookup":       customer,
			"partial":      payment,
			"_payment.":    payment,
		} {
			if strings.Contains(fixture, part) {
				opts = append(opts, o)
			}
		}
		return v, opts
	}
}

// OneSale checks that fixtures about one payment lead to one sale with this event id. It delivers each fixture twice, and begins with
// each of them once.
func (s Suite) OneSale(t *testing.T, eventID string, fixtures ...string) {
	t.Helper()
	for range fixtures {
		fixtures = append(fixtures[1:], fixtures[0])
		got := s.Deliver(t, slices.Concat(fixtures, fixtures))
		if len(got) != 1 {
			t.Errorf("%v: accepted %v, want one sale", fixtures, got)
			continue
		}
		if sale, ok := got[0].(fprom.Sale); !ok || sale.EventID != eventID {
			t.Errorf("%v: accepted %v, want the sale %s", fixtures, got, eventID)
		}
	}
}

// PartialRefunds delivers the fixtures in this order. It checks that they lead to one sale and two refunds of it, and that the refunds
// add up to the sale. List one refund before the sale, and one refund twice.
func (s Suite) PartialRefunds(t *testing.T, fixtures []string, opts ...billing.Option) {
	t.Helper()
	var sale fprom.Sale
	var refunds []fprom.Refund
	got := s.Deliver(t, fixtures, opts...)
	for _, e := range got {
		switch e := e.(type) {
		case fprom.Sale:
			sale = e
		case fprom.Refund:
			refunds = append(refunds, e)
		}
	}
	if len(got) != 3 || len(refunds) != 2 {
		t.Fatalf("accepted %v, want a sale and two refunds", got)
	}
	first, second := refunds[0], refunds[1]
	if first.Amount+second.Amount != sale.Amount || first.SaleEventID != sale.EventID || second.SaleEventID != sale.EventID || first.EventID == second.EventID {
		t.Errorf("%+v and %+v of %+v", first, second, sale)
	}
}
