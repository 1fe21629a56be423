package creem_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/creem"
	"github.com/fprom-go/fprom/fpromtest"
)

var suite = billingtest.Suite{
	Provider: creem.Provider(), Sign: sign, Sale: "subscription_paid.json",
	For: billingtest.ByName(creem.Provider(), billing.Payment{Email: "ada@example.com", Total: 2420, Tax: 420}),
}

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

// One payment, however it is announced and how often, is one sale.
func TestOneSale(t *testing.T) {
	t.Parallel()
	suite.OneSale(t, "tran_010", "subscription_checkout.json", "subscription_active.json", "subscription_paid.json")
}

// Two partial refunds, the first told twice and before the sale, give back the whole sale.
func TestPartialRefunds(t *testing.T) {
	t.Parallel()
	suite.PartialRefunds(t, []string{"refund_partial_1.json", "one_time.json", "refund_partial_1.json", "refund_partial_2.json"})
}
