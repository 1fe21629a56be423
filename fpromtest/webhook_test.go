package fpromtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/explain"
	"github.com/fprom-go/fprom/billing/paypal"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/fpromtest"
)

var updateWebhooks = flag.Bool("update-webhooks", false, "rewrite testdata/webhooks.golden")

// provider is the one of that name, with the certificates of the tests.
func provider(t *testing.T, name string) billing.Provider {
	t.Helper()
	v, ok := explain.Provider(name)
	if !ok {
		t.Fatalf("no provider %q", name)
	}
	if name == "paypal" {
		return paypal.Provider(paypal.WithCertificates(fpromtest.PayPalCertificates()))
	}
	return v
}

// Every sample is one that its provider's handler takes, and means what the golden file says.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	for _, s := range fpromtest.Webhooks() {
		event := strings.TrimPrefix(s.String(), s.Provider+" ")
		c := fpromtest.WebhookConfig{ID: "1001", UID: "user-1", TID: "visitor-1", RefID: "ann", Email: "o'neil+1@example.com"}
		body, err := fpromtest.WebhookBody(s.Provider, event, c)
		if err != nil || body[0] == '{' && !json.Valid(body) {
			t.Errorf("%s: %v\n%s", s, err, body)
			continue
		}
		v := provider(t, s.Provider)
		x := v.Explain(body)
		fmt.Fprintf(&got, "== %s\n%s", s, x)
		r, err := fpromtest.Webhook(s.Provider, event, c)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		sink := &billingtest.Sink{}
		w := httptest.NewRecorder()
		billing.Handler(sink, v, fpromtest.TestWebhookSecret, billingtest.Quiet()).ServeHTTP(w, r)
		if w.Code != http.StatusOK || !slices.Equal(sink.Events(), x.Events()) {
			t.Errorf("%s: status %d, accepted %v, want %v", s, w.Code, sink.Events(), x.Events())
		}
	}
	const golden = "testdata/webhooks.golden"
	if *updateWebhooks {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || got.String() != string(want) {
		t.Errorf("%v; the samples mean\n%s", err, got.String())
	}
}

// Every provider has a sale, a refund and a cancellation, all of one customer, and no sample by another name.
func TestWebhooksOfEveryProvider(t *testing.T) {
	t.Parallel()
	if got, want := fpromtest.WebhookProviders(), explain.Providers(); !slices.Equal(got, want) {
		t.Errorf("providers %v, want %v", got, want)
	}
	kinds := map[string]int{}
	for _, s := range fpromtest.Webhooks() {
		body, err := fpromtest.WebhookBody(s.Provider, strings.TrimPrefix(s.String(), s.Provider+" "), fpromtest.WebhookConfig{ID: "1001", UID: "user-1"})
		if err != nil {
			t.Fatal(err)
		}
		customer := billing.WithCustomer(func(context.Context, string) (billing.Customer, error) {
			return billing.Customer{UID: "user-1"}, nil
		})
		for _, e := range explain.Explain(s.Provider, body, customer).Events() {
			m, err := fprom.NewMessage(e)
			if err != nil {
				t.Fatal(err)
			}
			kinds[s.Provider+" "+m.Kind]++
		}
	}
	for _, name := range fpromtest.WebhookProviders() {
		for _, kind := range []string{fprom.KindSale, fprom.KindRefund, fprom.KindCancellation} {
			if kinds[name+" "+kind] == 0 {
				t.Errorf("%s has no sample of a %s", name, kind)
			}
		}
	}
}

func TestWebhookConfig(t *testing.T) {
	t.Parallel()
	c := fpromtest.WebhookConfig{
		URL: "https://shop.example.com/hook", Secret: "whsec_mine", Email: "ada@example.com", Amount: 100, Tax: 19, Currency: "EUR", TestMode: true,
	}
	first, err := fpromtest.Webhook("stripe", "invoice.paid", c)
	if err != nil || first.URL.String() != c.URL || first.Method != http.MethodPost {
		t.Fatalf("%v, %v", first, err)
	}
	sink := &billingtest.Sink{}
	h := stripe.Handler(sink, "whsec_mine", billing.WithTestMode(), billingtest.Quiet())
	h.ServeHTTP(httptest.NewRecorder(), first)
	second, err := fpromtest.Webhook("stripe", "invoice.paid", c)
	if err != nil {
		t.Fatal(err)
	}
	h.ServeHTTP(httptest.NewRecorder(), second)
	events := sink.Events()
	if len(events) != 2 {
		t.Fatalf("accepted %v, want two payments", events)
	}
	if s := events[0].(fprom.Sale); s.Amount != 100 || s.Currency != "eur" || s.Email != c.Email || s.EventID == events[1].(fprom.Sale).EventID {
		t.Errorf("accepted %+v", events)
	}
	for _, code := range []string{"JPY", "kwd", "ISK", "dollars"} {
		if _, err := fpromtest.Webhook("stripe", "invoice.paid", fpromtest.WebhookConfig{Currency: code}); err == nil || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: %v; its amounts are no hundredths", code, err)
		}
	}
	c.At = time.Now().Add(-time.Hour)
	stale, err := fpromtest.Webhook("stripe", "invoice.paid", c)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, stale); w.Code != http.StatusBadRequest {
		t.Errorf("an hour old: status %d, want 400", w.Code)
	}
	for _, bad := range [][2]string{{"stripe", "no.such.event"}, {"cash", "invoice.paid"}, {"..", "doc"}} {
		if _, err := fpromtest.Webhook(bad[0], bad[1], c); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	if err := fpromtest.SignWebhook("cash", http.Header{}, nil, "s", time.Now()); err == nil || errors.Is(err, billing.ErrSignature) {
		t.Errorf("signed for cash: %v", err)
	}
}

// The signature of Stripe's documentation, made by openssl:
// echo -n '1700000000.{}' | openssl dgst -sha256 -hmac whsec_example
func TestSignWebhook(t *testing.T) {
	t.Parallel()
	const want = "t=1700000000,v1=7fd3f63e358a5b466ad16eb9b92640b6639a1d1111041bfc08779d1bacd106f2"
	h := http.Header{}
	if err := fpromtest.SignWebhook("stripe", h, []byte("{}"), "whsec_example", time.Unix(1_700_000_000, 0)); err != nil || h.Get("Stripe-Signature") != want {
		t.Errorf("%v, %v, want %s", h, err, want)
	}
}
