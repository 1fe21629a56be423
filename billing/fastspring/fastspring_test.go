package fastspring_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/fastspring"
	"github.com/fprom-go/fprom/fpromtest"
)

var suite = billingtest.Suite{
	Provider: fastspring.Provider(), Sign: sign, Sale: "order.json",
	For: billingtest.ByName(fastspring.Provider(), billing.Payment{Email: "ada@example.com", Total: 12100, Tax: 2100}),
}

func sign(h http.Header, body []byte, secret string) {
	if err := fpromtest.SignWebhook("fastspring", h, body, secret, time.Now()); err != nil {
		panic(err)
	}
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F) {
	suite.FuzzEvents(f, billing.WithTrialSignups(), billing.WithTestMode())
}
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "X-Fs-Signature") }
