package whop_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/whop"
	"github.com/fprom-go/fprom/fpromtest"
)

var suite = billingtest.Suite{
	Provider: whop.Provider(), Sign: sign, Sale: "payment.json",
	For: billingtest.ByName(whop.Provider(), billing.Payment{Email: "ada@example.com", Total: 12100, Tax: 2100}),
}

func sign(h http.Header, body []byte, secret string) {
	if err := fpromtest.SignWebhook("whop", h, body, secret, time.Now()); err != nil {
		panic(err)
	}
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F) {
	suite.FuzzEvents(f, billing.WithTrialSignups(), billing.WithTestMode())
}
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Webhook-Signature") }
