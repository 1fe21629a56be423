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
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/lemonsqueezy"
	"github.com/fprom-go/fprom/fpromtest"
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
		plain, wrapped := &billingtest.Sink{Err: tt.err}, &billingtest.Sink{Err: tt.err}
		engine := gin.New()
		engine.POST("/webhook", gin.WrapH(lemonsqueezy.Handler(wrapped, secret, billingtest.Quiet())))
		a := billingtest.Post(lemonsqueezy.Handler(plain, secret, billingtest.Quiet()), tt.body, tt.change)
		b := billingtest.Post(engine, tt.body, tt.change)
		if a != tt.want || b != tt.want {
			t.Errorf("%s: status %d, in Gin %d, want %d", tt.name, a, b, tt.want)
		}
		if x, y := plain.Events(), wrapped.Events(); fmt.Sprint(x) != fmt.Sprint(y) {
			t.Errorf("%s: accepted %v, in Gin %v", tt.name, x, y)
		}
	}
}

// A Tracker gets the event, and the provider an empty answer: some providers want it so.
func TestTracker(t *testing.T) {
	t.Parallel()
	body := read(t, "lemonsqueezy/testdata/one_time.json")
	fake := fpromtest.NewServer(t)
	fake.AddVisitor("tid-ada")
	tracker := fpromtest.NewTracker(t, fake)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
	sign(body)(r)
	w := httptest.NewRecorder()
	lemonsqueezy.Handler(tracker, secret, billingtest.Quiet()).ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("answered %d %v %q, want 200 and nothing else", w.Code, w.Header(), w.Body)
	}
	if err := tracker.Flush(t.Context()); err != nil || len(fake.Commissions()) != 1 {
		t.Errorf("%v, %v, want one commission", err, fake.Commissions())
	}
}

// A nil *Tracker is development without credentials: the webhook is answered, the event is dropped.
func TestNilTracker(t *testing.T) {
	t.Parallel()
	body := read(t, "lemonsqueezy/testdata/one_time.json")
	var tracker *fprom.Tracker
	h := lemonsqueezy.Handler(tracker, secret, billingtest.Quiet())
	if got := billingtest.Post(h, body, sign(body)); got != http.StatusOK {
		t.Errorf("status %d, want 200", got)
	}
	if got := billingtest.Post(h, body, nil); got != http.StatusUnauthorized {
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
	h := lemonsqueezy.Handler(&billingtest.Sink{}, secret,
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
		billingtest.Post(h, body, sign(body))
	}
	noCustomer := []byte(`{"meta":{"event_name":"order_created"},"data":{"id":"1","attributes":{"status":"paid","total":5,"tax":0,"currency":"USD"}}}`)
	for range 3 {
		post("test_mode")
		post("trial_order")
		post("subscription_first_invoice")
		post("one_time")
		billingtest.Post(h, noCustomer, sign(noCustomer))
		billingtest.Post(h, []byte("{"), nil)
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
	x := lemonsqueezy.Provider().Explain(payload)
	if x.Err == nil || strings.Contains(x.String(), "ada@example.com") {
		t.Errorf("%v", x)
	}
	events, err := lemonsqueezy.Provider().Events(payload)
	var wrong *fprom.ValidationError
	if len(events) > 0 || !errors.As(err, &wrong) || wrong.Field != "EventID" {
		t.Errorf("%v, %v", events, err)
	}
}
