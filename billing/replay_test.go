package billing_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/explain"
	"github.com/fprom-go/fprom/billing/paypal"
	"github.com/fprom-go/fprom/billing/revenuecat"
	"github.com/fprom-go/fprom/fpromtest"
)

// Of providers that sign the time, an old webhook is refused, and one from the future; of the others its age does not count,
// and its event id keeps it from being a second sale. A time stamp that was changed afterwards is a wrong signature.
func TestReplay(t *testing.T) {
	t.Parallel()
	stamped := map[string]time.Duration{
		"dodo": 5 * time.Minute, "paddle": 5 * time.Minute, "paypal": 4 * 24 * time.Hour, "polar": 5 * time.Minute, "revenuecat": 3 * time.Hour,
		"stripe": 5 * time.Minute, "whop": 5 * time.Minute,
	}
	providers := map[string]billing.Provider{}
	for _, name := range explain.Providers() {
		providers[name], _ = explain.Provider(name)
	}
	providers["paypal"] = paypal.Provider(paypal.WithCertificates(fpromtest.PayPalCertificates()))
	providers["revenuecat"] = revenuecat.Provider(revenuecat.WithSignature())
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for name, v := range providers {
			tolerance, signsTime := stamped[name]
			if !signsTime {
				tolerance = 1000 * time.Hour
			}
			for _, tt := range []struct {
				at time.Time
				ok bool
			}{
				{now, true},
				{now.Add(-tolerance), true},
				{now.Add(tolerance), true},
				{now.Add(-tolerance - time.Second), !signsTime},
				{now.Add(tolerance + time.Second), !signsTime},
			} {
				body, h := []byte("{}"), http.Header{}
				if err := fpromtest.SignWebhook(name, h, body, fpromtest.TestWebhookSecret, tt.at); err != nil {
					t.Fatal(err)
				}
				err := v.Check(h, body, fpromtest.TestWebhookSecret)
				if (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
					t.Errorf("%s, signed %v from now: %v, want success %t", name, tt.at.Sub(now), err, tt.ok)
				}
				if !signsTime || tt.at.Equal(now) {
					continue
				}
				if !restamped(h, tt.at, now) {
					t.Errorf("%s: no time stamp in %v", name, h)
				}
				if err := v.Check(h, body, fpromtest.TestWebhookSecret); !errors.Is(err, billing.ErrSignature) {
					t.Errorf("%s, with the time stamp changed: %v", name, err)
				}
			}
		}
	})
}

// restamped writes another time into the headers, where the signed one stands. It reports whether it found one.
func restamped(h http.Header, signed, other time.Time) bool {
	found := false
	for name, values := range h {
		for _, form := range []func(time.Time) string{
			func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
			func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
		} {
			if old := form(signed); strings.Contains(values[0], old) {
				h.Set(name, strings.Replace(values[0], old, form(other), 1))
				found = true
			}
		}
	}
	return found
}
