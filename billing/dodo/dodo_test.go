package dodo_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/dodo"
	"github.com/fprom-go/fprom/fpromtest"
)

var suite = billingtest.Suite{
	Provider: dodo.Provider(), Sign: sign, Sale: "subscription.json",
	For: billingtest.ByName(dodo.Provider(), billing.Payment{Email: "ada@example.com", Total: 12100, Tax: 2100}),
}

func sign(h http.Header, body []byte, secret string) {
	if err := fpromtest.SignWebhook("dodo", h, body, secret, time.Now()); err != nil {
		panic(err)
	}
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }

// What a dispute takes back and an earlier refund are together what the sale was, although each is rounded.
func TestDisputeAfterRefund(t *testing.T) {
	t.Parallel()
	payment := billing.Payment{Email: "ada@example.com", Total: 1010, Tax: 505, Refunded: 505} // of which the refund took 252
	events, err := dodo.Provider().Events(billingtest.Read(t, "dispute_lost_payment.json"), billing.WithPayment(func(context.Context, string) (billing.Payment, error) {
		return payment, nil
	}))
	if err != nil || len(events) != 1 || events[0].(fprom.Refund).Amount != 253 {
		t.Errorf("%v, %v; want a refund of 253", events, err)
	}
}

func FuzzEvents(f *testing.F) {
	suite.FuzzEvents(f, billing.WithTrialSignups(), billing.WithTestMode())
}
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Webhook-Signature") }
