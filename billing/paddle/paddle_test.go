package paddle_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/paddle"
)

var suite = billingtest.Suite{Provider: paddle.Provider(), Sign: sign, Sale: "subscription.json", For: options}

func sign(h http.Header, body []byte, secret string) {
	t := strconv.FormatInt(time.Now().Unix(), 10)
	h.Set("Paddle-Signature", "ts="+t+";h1="+sum(t, body, secret))
}

func sum(t string, body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + ":"))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func customer(_ context.Context, id string) (billing.Customer, error) {
	if id != "ctm_01jada" {
		return billing.Customer{}, errors.New("no such customer")
	}
	return billing.Customer{Email: "ada@example.com", UID: "user-1"}, nil
}

func payment(_ context.Context, id string) (billing.Payment, error) {
	return billing.Payment{SaleEventID: id, UID: "user-1"}, nil
}

func options(fixture string) (billing.Provider, []billing.Option) {
	has := func(s string) bool { return strings.Contains(fixture, s) }
	var opts []billing.Option
	if has("trial_signup") {
		opts = append(opts, billing.WithTrialSignups())
	}
	if has("payment_lookup") {
		opts = append(opts, billing.WithPayment(payment))
	}
	if has("option_off") {
		opts = append(opts, billing.WithoutDisputes())
	}
	if has("customer_lookup") || has("refund_partial") || has("refund_tax") || has("at_once") || has("chargeback") {
		opts = append(opts, billing.WithCustomer(customer))
	}
	return paddle.Provider(), opts
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F) {
	suite.FuzzEvents(f, billing.WithTrialSignups(), billing.WithPayment(payment))
}
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Paddle-Signature") }

func TestVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := []byte(`{"event_id":"evt_1"}`)
		at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
		now := at(0)
		for _, tt := range []struct {
			name, header string
			opts         []billing.Option
			ok           bool
		}{
			{name: "good", header: "ts=" + now + ";h1=" + sum(now, body, "s1"), ok: true},
			{name: "two secrets at Paddle", header: "ts=" + now + ";h1=" + sum(now, body, "s2") + ";h1=" + sum(now, body, "s1"), ok: true},
			{name: "no header"},
			{name: "comma", header: "ts=" + now + ",h1=" + sum(now, body, "s1")},
			{name: "time not signed", header: "ts=" + at(time.Second) + ";h1=" + sum(now, body, "s1")},
			{name: "rotation", header: "ts=" + now + ";h1=" + sum(now, body, "s0"), opts: []billing.Option{billing.WithSecrets("s0")}, ok: true},
			{name: "5 minutes", header: "ts=" + at(-5*time.Minute) + ";h1=" + sum(at(-5*time.Minute), body, "s1"), ok: true},
			{name: "too old", header: "ts=" + at(-6*time.Minute) + ";h1=" + sum(at(-6*time.Minute), body, "s1")},
			{name: "from the future", header: "ts=" + at(6*time.Minute) + ";h1=" + sum(at(6*time.Minute), body, "s1")},
			{name: "time is text", header: "ts=now;h1=" + sum("now", body, "s1")},
		} {
			err := paddle.Provider().Check(http.Header{"Paddle-Signature": {tt.header}}, body, "s1", tt.opts...)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
				t.Errorf("%s: %v, want ok %v", tt.name, err, tt.ok)
			}
		}
	})
}
