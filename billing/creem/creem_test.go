package creem_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/creem"
	"github.com/fprom-go/fprom/fpromtest"
)

var suite = billingtest.Suite{Provider: creem.Provider(), Sign: sign, Sale: "subscription_paid.json", For: options}

func sign(h http.Header, body []byte, secret string) {
	if err := fpromtest.SignWebhook("creem", h, body, secret, time.Now()); err != nil {
		panic(err)
	}
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F) {
	suite.FuzzEvents(f, billing.WithTrialSignups(), billing.WithTestMode())
}
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Creem-Signature") }

func payment(_ context.Context, id string) (billing.Payment, error) {
	return billing.Payment{SaleEventID: id, Email: "ada@example.com", Total: 2420, Tax: 420}, nil
}

func options(fixture string) (billing.Provider, []billing.Option) {
	var opts []billing.Option
	for part, o := range map[string]billing.Option{
		"trial_signup": billing.WithTrialSignups(),
		"option_off":   billing.WithoutDisputes(),
		"test_mode_on": billing.WithTestMode(),
		"partial":      billing.WithPayment(payment),
		"_payment.":    billing.WithPayment(payment),
		"lookup": billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
			return billing.Customer{Email: "ada@example.com", TID: "tid-of-customer"}, nil
		}),
	} {
		if strings.Contains(fixture, part) {
			opts = append(opts, o)
		}
	}
	return creem.Provider(), opts
}

// One payment, however it is announced and how often, is one sale.
func TestOnePaymentOneSale(t *testing.T) {
	t.Parallel()
	fixtures := []string{"subscription_checkout.json", "subscription_active.json", "subscription_paid.json"}
	for range fixtures {
		fixtures = append(fixtures[1:], fixtures[0])
		if got := suite.Deliver(t, append(fixtures, fixtures...)); len(got) != 1 {
			t.Errorf("%v: accepted %v, want one sale", fixtures, got)
		}
	}
}

// Two partial refunds, the first told twice and before the sale, give back the whole sale.
func TestRefunds(t *testing.T) {
	t.Parallel()
	got := suite.Deliver(t, []string{"refund_partial_1.json", "one_time.json", "refund_partial_1.json", "refund_partial_2.json"})
	if len(got) != 3 {
		t.Fatalf("accepted %v", got)
	}
	first, sale, second := got[0].(fprom.Refund), got[1].(fprom.Sale), got[2].(fprom.Refund)
	if first.Amount+second.Amount != sale.Amount || first.SaleEventID != sale.EventID || second.SaleEventID != sale.EventID {
		t.Errorf("%+v and %+v of %+v", first, second, sale)
	}
}
