package creem_test

import (
	"bytes"
	"context"
	"errors"
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

// An event that leads to nothing asks nobody for the customer: a lookup that fails must not make Creem send it again.
func TestTrialAsksForNoCustomer(t *testing.T) {
	t.Parallel()
	fails := billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
		return billing.Customer{}, errors.New("the API of Creem does not answer")
	})
	body := bytes.ReplaceAll(billingtest.Read(t, "subscription_trialing.json"), []byte("fp_tid"), []byte("other"))
	if events, err := creem.Provider().Events(body, fails); err != nil || len(events) != 0 {
		t.Errorf("%v, %v, want nothing", events, err)
	}
}
