package revenuecat_test

import (
	"testing"

	"github.com/fprom-go/fprom"
)

// At Stripe all payments of a subscription have the same transaction id. Each renewal is a sale, and a refund names its own.
func TestStripeRenewals(t *testing.T) {
	t.Parallel()
	got := suite.Deliver(t, []string{"stripe_initial.json", "stripe_renewal.json", "stripe_renewal.json", "stripe_renewal_without_number.json", "stripe_refund.json"})
	if len(got) != 4 {
		t.Fatalf("got %+v, want three sales and a refund", got)
	}
	if refund, sale := got[3].(fprom.Refund), got[1].(fprom.Sale); refund.SaleEventID != sale.EventID {
		t.Errorf("the refund names %q, want %q", refund.SaleEventID, sale.EventID)
	}
}
