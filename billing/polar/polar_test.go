package polar_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/polar"
)

var suite = billingtest.Suite{Provider: polar.Provider(), Sign: sign, Sale: "subscription.json", For: options}

func sign(h http.Header, body []byte, secret string) { signAt(h, body, secret, time.Now()) }

func signAt(h http.Header, body []byte, secret string, at time.Time) {
	t := strconv.FormatInt(at.Unix(), 10)
	h.Set("Webhook-Id", "msg_1")
	h.Set("Webhook-Timestamp", t)
	h.Set("Webhook-Signature", "v1,"+sum("msg_1."+t+".", body, secret))
}

func sum(prefix string, body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(prefix))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func payment(_ context.Context, id string) (billing.Payment, error) {
	return billing.Payment{SaleEventID: id, Email: "ada@example.com", UID: "user-1"}, nil
}

func customer(context.Context, string) (billing.Customer, error) {
	return billing.Customer{Email: "ada@example.com", UID: "user-1"}, nil
}

func options(fixture string) (billing.Provider, []billing.Option) {
	has := func(s string) bool { return strings.Contains(fixture, s) }
	var opts []billing.Option
	switch {
	case has("trial_signup"):
		opts = append(opts, billing.WithTrialSignups())
	case has("refund_partial"):
		opts = append(opts, billing.WithPayment(payment))
	case has("balance_payment"): // the order of balance_applied.json
		opts = append(opts, billing.WithPayment(func(_ context.Context, id string) (billing.Payment, error) {
			return billing.Payment{SaleEventID: id, Email: "ada@example.com", Total: 2400, Tax: 400}, nil
		}))
	case has("customer_lookup"):
		opts = append(opts, billing.WithCustomer(customer))
	}
	return polar.Provider(), opts
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F) {
	suite.FuzzEvents(f, billing.WithTrialSignups(), billing.WithPayment(payment))
}
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Webhook-Signature") }

func TestVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := []byte(`{"type":"order.paid"}`)
		for _, tt := range []struct {
			name   string
			at     time.Duration
			change func(http.Header)
			opts   []billing.Option
			ok     bool
		}{
			{name: "good", ok: true},
			{name: "several signatures", change: func(h http.Header) {
				h.Set("Webhook-Signature", "v1a,AAAA v1,AAAA "+h.Get("Webhook-Signature"))
			}, ok: true},
			{name: "another id", change: func(h http.Header) { h.Set("Webhook-Id", "msg_2") }},
			{name: "another time", change: func(h http.Header) { h.Set("Webhook-Timestamp", "1") }},
			{name: "no signature", change: func(h http.Header) { h.Del("Webhook-Signature") }},
			{name: "another version", change: func(h http.Header) {
				h.Set("Webhook-Signature", strings.Replace(h.Get("Webhook-Signature"), "v1,", "v2,", 1))
			}},
			{name: "too old", at: -6 * time.Minute},
			{name: "from the future", at: 6 * time.Minute},
			{name: "tolerated", at: -6 * time.Minute, opts: []billing.Option{billing.WithTolerance(time.Hour)}, ok: true},
		} {
			h := http.Header{}
			signAt(h, body, "polar_whs_1", time.Now().Add(tt.at))
			if tt.change != nil {
				tt.change(h)
			}
			err := polar.Provider().Check(h, body, "polar_whs_1", tt.opts...)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
				t.Errorf("%s: %v, want ok %v", tt.name, err, tt.ok)
			}
		}
		h := http.Header{}
		sign(h, body, "polar_whs_0")
		if err := polar.Provider().Check(h, body, "polar_whs_1", billing.WithSecrets("polar_whs_0")); err != nil {
			t.Errorf("rotation: %v", err)
		}
	})
}
