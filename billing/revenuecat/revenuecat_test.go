package revenuecat_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/revenuecat"
)

// suite is authorized by the header alone, signed by a signature of the body.
var (
	suite  = billingtest.Suite{Provider: revenuecat.Provider(), Sign: authorize, Sale: "initial_purchase.json"}
	signed = billingtest.Suite{Provider: revenuecat.Provider(revenuecat.WithSignature()), Sign: sign, Sale: "initial_purchase.json"}
)

func authorize(h http.Header, _ []byte, secret string) { h.Set("Authorization", secret) }

func sign(h http.Header, body []byte, secret string) {
	t := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	h.Set("X-RevenueCat-Webhook-Signature", "t="+t+",v1="+hex.EncodeToString(mac.Sum(nil)))
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); signed.HandlerTable(t) }
func FuzzEvents(f *testing.F) {
	suite.With(revenuecat.Provider(revenuecat.WithCommission())).FuzzEvents(f)
}
func FuzzHandler(f *testing.F)   { suite.FuzzHandler(f, "Authorization") }
func FuzzSignature(f *testing.F) { signed.FuzzHandler(f, "X-RevenueCat-Webhook-Signature") }

// Without a signature the header Authorization decides: RevenueCat takes nothing but 200 for success.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	sale := billingtest.Read(t, "initial_purchase.json")
	for _, tt := range []struct {
		name   string
		secret string
		header string
		opts   []billing.Option

		signature bool
		err       error // of Enqueue
		want      int
		events    int
	}{
		{name: "right", secret: "Bearer s3cret", header: "Bearer s3cret", want: 200, events: 1},
		{name: "missing", secret: "Bearer s3cret", want: 401},
		{name: "without what was entered before it", secret: "Bearer s3cret", header: "s3cret", want: 401},
		{name: "prefix", secret: "Bearer s3cret", header: "Bearer s3cre", want: 401},
		{name: "other case", secret: "Bearer s3cret", header: "bearer s3cret", want: 401},
		{
			name: "rotated", secret: "new", header: "old", opts: []billing.Option{billing.WithSecrets("old")},
			want: 200, events: 1,
		},
		{name: "no secret", want: 401},
		{name: "empty second secret", secret: "new", header: "", opts: []billing.Option{billing.WithSecrets("")}, want: 401},
		{name: "signature wanted", secret: "s", header: "s", signature: true, want: 401},
		{name: "queue full", secret: "s", header: "s", err: fprom.ErrQueueFull, want: 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sink := &billingtest.Sink{Err: tt.err}
			v := suite.Provider
			if tt.signature {
				v = signed.Provider
			}
			h := billing.Handler(sink, v, tt.secret, append(tt.opts, billingtest.Quiet())...)
			got := billingtest.Post(h, sale, func(r *http.Request) {
				if tt.header != "" {
					r.Header.Set("Authorization", tt.header)
				}
			})
			if got != tt.want || len(sink.Events()) != tt.events {
				t.Errorf("status %d and %d events, want %d and %d", got, len(sink.Events()), tt.want, tt.events)
			}
		})
	}
}

func TestSignatureTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		age  time.Duration
		opts []billing.Option
		ok   bool
	}{
		{name: "now", ok: true},
		{name: "the last retry", age: 155 * time.Minute, ok: true},
		{name: "a replay", age: 3*time.Hour + time.Second},
		{name: "narrower", age: 2 * time.Minute, opts: []billing.Option{billing.WithTolerance(time.Minute)}},
		{name: "as narrow as others", age: 6 * time.Minute, opts: []billing.Option{billing.WithTolerance(5 * time.Minute)}},
		{name: "any", age: 1000 * time.Hour, opts: []billing.Option{billing.WithTolerance(0)}, ok: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := http.Header{}
				sign(h, []byte("{}"), "secret")
				time.Sleep(tt.age)
				err := signed.Provider.Check(h, []byte("{}"), "secret", tt.opts...)
				if (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
					t.Errorf("got %v, want success: %t", err, tt.ok)
				}
			})
		})
	}
}

// The signature of a body that openssl made: openssl dgst -sha256 -hmac secret over 1767225600.{"event":{}}.
func TestSignatureByOpenSSL(t *testing.T) {
	t.Parallel()
	h := http.Header{}
	h.Set("X-RevenueCat-Webhook-Signature", "t=1767225600,v1=00ff,v1=3e526c061a4a00184b141935d2f31c06402cc40d02f6a1553a7b7e1d0e0b30e6")
	anyTime := billing.WithTolerance(0)
	if err := signed.Provider.Check(h, []byte(`{"event":{}}`), "secret", anyTime); err != nil {
		t.Error(err)
	}
	h.Set("X-RevenueCat-Webhook-Signature", strings.Replace(h.Get("X-RevenueCat-Webhook-Signature"), "t=1767225600", "t=1767225601", 1))
	if err := signed.Provider.Check(h, []byte(`{"event":{}}`), "secret", anyTime); !errors.Is(err, billing.ErrSignature) {
		t.Errorf("changed time stamp: got %v, want ErrSignature", err)
	}
}

// Deliveries of one payment are one sale; refunds name it, also where they come first.
func TestSaleAndRefunds(t *testing.T) {
	t.Parallel()
	got := suite.Deliver(t, []string{
		"refund.json", "renewal_tax_inclusive.json", "renewal_duplicate_delivery.json", "refund.json", "cancellation_unsubscribe.json",
		"refund_partial_1.json", "refund_partial_2.json", "expiration.json",
	})
	if len(got) != 5 {
		t.Fatalf("got %+v, want a refund, its sale, two partial refunds and a cancellation", got)
	}
	refund, sale := got[0].(fprom.Refund), got[1].(fprom.Sale)
	if refund.SaleEventID != sale.EventID || refund.Amount != sale.Amount {
		t.Errorf("%+v does not take %+v back", refund, sale)
	}
	first, second := got[2].(fprom.Refund), got[3].(fprom.Refund)
	if first.EventID == second.EventID || first.SaleEventID != second.SaleEventID || first.Amount+second.Amount != 999 {
		t.Errorf("got %+v and %+v, want two refunds of one sale", first, second)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	sale := fprom.Sale{
		EventID: "app_store:200000000000001", Email: "sam@example.com", UID: "user-4711", Currency: "USD",
		Plan: "com.example.pro.monthly", TID: "tid-revenuecat-0001",
	}
	sandbox, dinar := sale, sale
	sandbox.Amount, sandbox.EventID = 499, "app_store:200000000000007"
	dinar.Amount, dinar.Currency, dinar.EventID = 1525, "KWD", "app_store:200000000000012"
	for _, tt := range []struct {
		name, fixture string
		opt           billing.Option
		want          fprom.Event
	}{
		{"sandbox", "sandbox.json", billing.WithTestMode(), sandbox},
		{"three digits", "three_decimal_kwd.json", billing.WithExponents(map[string]int{"kwd": 3}), dinar},
		{
			"trial as sign-up", "trial.json", billing.WithTrialSignups(),
			fprom.Signup{Email: "sam@example.com", UID: "user-4711", TID: "tid-revenuecat-0001"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := revenuecat.Provider().Events(billingtest.Read(t, tt.fixture), tt.opt)
			if err != nil || len(got) != 1 || got[0] != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestCommission(t *testing.T) {
	t.Parallel()
	got, err := revenuecat.Provider(revenuecat.WithCommission()).Events(billingtest.Read(t, "initial_purchase.json"))
	if err != nil || len(got) != 1 || got[0].(fprom.Sale).Amount != 349 {
		t.Errorf("got %+v, %v, want 349", got, err)
	}
}

// The amount is the price × (1 − tax) in decimal arithmetic, rounded once and half to even.
func TestPrice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		price, tax, currency string
		want                 int64 // 0: an error
	}{
		{"4.99", "0", "USD", 499},
		{"1.005", "0", "USD", 100}, // exactly half: to even, and 1.005 is not 1.00499999…
		{"1.015", "0", "USD", 102},
		{"0.615", "0", "USD", 62},
		{"1.0050000000000001", "0", "USD", 101},
		{"9.99", "0.0744", "USD", 925},
		{"10", "0.25", "JPY", 8}, // 7.5
		{"1e2", "1E-1", "USD", 9000},
		{"9007199254740993.00", "0", "JPY", 0},
		{"1e30", "0", "USD", 0},
		{"1e999999999", "0", "USD", 0},
		{"4.99", "1.01", "USD", 0},
		{"4.99", "-0.01", "USD", 0},
		{`"4.99"`, "0.1", "USD", 449},
		{`"1/3"`, "0", "USD", 0},
		{`"0x1p3"`, "0", "USD", 0},
		{`"."`, "0", "USD", 0},
		{"true", "0", "USD", 0},
		{"4.99", "0", "XXQ", 0},
	} {
		body := `{"event":{"type":"RENEWAL","id":"e","store":"STRIPE","transaction_id":"t","app_user_id":"u","currency":"` + tt.currency +
			`","price_in_purchased_currency":` + tt.price + `,"tax_percentage":` + tt.tax + `}}`
		events, err := revenuecat.Provider().Events([]byte(body))
		switch {
		case tt.want == 0 && err == nil:
			t.Errorf("%s − %s %s: got %+v, want an error", tt.price, tt.tax, tt.currency, events)
		case tt.want != 0 && (err != nil || len(events) != 1 || events[0].(fprom.Sale).Amount != tt.want):
			t.Errorf("%s − %s %s: got %+v, %v, want %d", tt.price, tt.tax, tt.currency, events, err, tt.want)
		}
	}
}

// Whatever the order of deliveries, the set of events is the same.
func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	fixtures := []string{"trial.json", "trial_conversion.json", "initial_purchase.json", "expiration.json"}
	forth := suite.Deliver(t, fixtures)
	slices.Reverse(fixtures)
	back := suite.Deliver(t, fixtures)
	slices.Reverse(back)
	if len(forth) != 3 || !slices.Equal(forth, back) {
		t.Errorf("got %+v and %+v", forth, back)
	}
}
