package billingtest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// ByName is a Suite.For that gives each fixture the options that its name asks for:
//
//	trial_signup       WithTrialSignups
//	option_off         WithoutDisputes
//	test_mode_on       WithTestMode
//	lookup             WithCustomer, which answers ada@example.com and the tid tid-of-customer
//	partial, _payment  WithPayment, which answers p with the id that it is asked for as SaleEventID
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

// OneSale checks that the fixtures, which announce one payment, are one sale of that event id: twice each, and beginning
// with any of them.
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

// PartialRefunds checks that the fixtures, delivered in this order, are one sale and two refunds that name it and give it
// back whole. Let a refund come before the sale, and one come twice.
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
