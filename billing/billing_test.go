package billing_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/internal/hooktest"
	"github.com/fprom-go/fprom/billing/lemonsqueezy"
)

const secret = "a signing secret"

func sign(body []byte) func(*http.Request) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return func(r *http.Request) { r.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil))) }
}

func stripeSigned(body []byte, secret string) func(*http.Request) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(append([]byte("1700000000."), body...))
	return func(r *http.Request) {
		r.Header.Set("Stripe-Signature", "t=1700000000,v1="+hex.EncodeToString(mac.Sum(nil)))
	}
}

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestExplainEveryProvider(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var packages []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "internal" && e.Name() != "testdata" {
			packages = append(packages, e.Name())
		}
	}
	if got := billing.Providers(); strings.Join(got, " ") != strings.Join(packages, " ") {
		t.Errorf("Providers: %v, packages: %v", got, packages)
	}
	for _, name := range billing.Providers() {
		if x := billing.Explain(name, []byte("{}")); x.Provider != name || x.Skipped != billing.NotMoney || x.Err != nil {
			t.Errorf("%s: %+v", name, x)
		}
		if x := billing.Explain(name, []byte("[]")); !fprom.IsPermanent(x.Err) {
			t.Errorf("%s: %v, want a permanent error", name, x.Err)
		}
	}
	if x := billing.Explain("cash", []byte("{}")); x.Err == nil {
		t.Error("an unknown provider is explained")
	}
}

// In Gin the answers and the events are those of net/http.
func TestGin(t *testing.T) {
	t.Parallel()
	gin.SetMode(gin.ReleaseMode)
	sale := read(t, "lemonsqueezy/testdata/one_time.json")
	for _, tt := range []struct {
		name   string
		body   []byte
		change func(*http.Request)
		err    error
		want   int
	}{
		{name: "signed", body: sale, change: sign(sale), want: 200},
		{name: "unsigned", body: sale, want: 401},
		{name: "not money", body: []byte("{}"), change: sign([]byte("{}")), want: 200},
		{name: "cannot be read", body: []byte("{"), change: sign([]byte("{")), want: 422},
		{name: "too large", body: make([]byte, 1<<20+1), want: 413},
		{name: "queue full", body: sale, change: sign(sale), err: fprom.ErrQueueFull, want: 503},
	} {
		plain, wrapped := &hooktest.Sink{Err: tt.err}, &hooktest.Sink{Err: tt.err}
		engine := gin.New()
		engine.POST("/webhook", gin.WrapH(lemonsqueezy.Handler(wrapped, secret, hooktest.Quiet())))
		a := hooktest.Post(lemonsqueezy.Handler(plain, secret, hooktest.Quiet()), tt.body, tt.change)
		b := hooktest.Post(engine, tt.body, tt.change)
		if a != tt.want || b != tt.want {
			t.Errorf("%s: status %d, in Gin %d, want %d", tt.name, a, b, tt.want)
		}
		if x, y := plain.Events(), wrapped.Events(); fmt.Sprint(x) != fmt.Sprint(y) {
			t.Errorf("%s: accepted %v, in Gin %v", tt.name, x, y)
		}
	}
}

// A nil *Tracker is development without credentials: the webhook is answered, the event is dropped.
func TestNilTracker(t *testing.T) {
	t.Parallel()
	body := read(t, "lemonsqueezy/testdata/one_time.json")
	var tracker *fprom.Tracker
	h := lemonsqueezy.Handler(tracker, secret, hooktest.Quiet())
	if got := hooktest.Post(h, body, sign(body)); got != http.StatusOK {
		t.Errorf("status %d, want 200", got)
	}
	if got := hooktest.Post(h, body, nil); got != http.StatusUnauthorized {
		t.Errorf("unsigned: status %d, want 401", got)
	}
}

// What is skipped or refused is counted by the observer, and logged without addresses: test mode and what another event
// reports once, a lost commission each time, a refusal once a minute.
func TestObserverAndLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	counts := map[billing.Reason]int{}
	tracked, refused := 0, 0
	h := lemonsqueezy.Handler(&hooktest.Sink{}, secret,
		billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), billing.WithLogger(nil),
		billing.WithObserver(func(_ context.Context, x billing.Explanation) {
			tracked += len(x.Tracked)
			if x.Skipped != "" {
				counts[x.Skipped]++
			}
			if errors.Is(x.Err, billing.ErrSignature) {
				refused++
			}
		}))
	post := func(name string) {
		body := read(t, "lemonsqueezy/testdata/"+name+".json")
		hooktest.Post(h, body, sign(body))
	}
	noCustomer := []byte(`{"meta":{"event_name":"order_created"},"data":{"id":"1","attributes":{"status":"paid","total":5,"tax":0,"currency":"USD"}}}`)
	for range 3 {
		post("test_mode")
		post("trial_order")
		post("subscription_first_invoice")
		post("one_time")
		hooktest.Post(h, noCustomer, sign(noCustomer))
		hooktest.Post(h, []byte("{"), nil)
	}
	if refused != 3 {
		t.Errorf("%d refused, want 3", refused)
	}
	want := map[billing.Reason]int{billing.TestMode: 3, billing.NothingPaid: 3, billing.OtherEvent: 3, billing.NoCustomer: 3}
	if fmt.Sprint(counts) != fmt.Sprint(want) || tracked != 3 {
		t.Errorf("skipped %v, tracked %d", counts, tracked)
	}
	for text, n := range map[string]int{"reason=test-mode": 1, "reason=no-customer": 3, "reason=nothing-paid": 0, "reason=other-event": 1, "reason=no-header": 1, "example.com": 0, secret: 0} {
		if got := strings.Count(log.String(), text); got != n {
			t.Errorf("logged %q %d times, want %d:\n%s", text, got, n, log.String())
		}
	}
}

// Without the addresses of a payload in clear, whatever goes wrong with it.
func TestErrorsNameNoAddress(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"meta":{"event_name":"order_created"},"data":{"id":"` + strings.Repeat("9", 300) + `",
		"attributes":{"status":"paid","total":5,"tax":0,"currency":"USD","user_email":"ada@example.com"}}}`)
	x := billing.Explain("lemonsqueezy", payload)
	if x.Err == nil || strings.Contains(x.String(), "ada@example.com") {
		t.Errorf("%v", x)
	}
	events, err := lemonsqueezy.Events(payload)
	var wrong *fprom.ValidationError
	if len(events) > 0 || !errors.As(err, &wrong) || wrong.Field != "EventID" {
		t.Errorf("%v, %v", events, err)
	}
}

func ExampleExplain() {
	payload := []byte(`{
		"meta": {"event_name": "order_created", "custom_data": {"fp_tid": "b1a2"}},
		"data": {"type": "orders", "id": "1", "attributes": {
			"status": "paid", "currency": "USD", "total": 1200, "tax": 200, "user_email": "ada@example.com"}}}`)
	fmt.Print(billing.Explain("lemonsqueezy", payload))
	fmt.Print(billing.Explain("stripe", []byte(`{"type":"charge.succeeded","id":"evt_1","livemode":true}`)))
	// Output:
	// lemonsqueezy order_created 1
	//   sale
	//     event_id      = order:1                    ← "order:" and data.id
	//     email         = a***@e***                  ← data.attributes.user_email
	//     amount        = 1000                       ← data.attributes.total − data.attributes.tax
	//     currency      = USD                        ← data.attributes.currency
	//     tid           = b1a2                       ← meta.custom_data.fp_tid
	// stripe charge.succeeded evt_1
	//   nothing tracked (other-event): invoice.paid or checkout.session.completed reports this payment
}
