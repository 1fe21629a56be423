package razorpay_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/razorpay"
)

var suite = billingtest.Suite{Provider: razorpay.Provider(), Sign: sign, Sale: "one_time_payment_captured.json"}

func sign(h http.Header, body []byte, secret string) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	h.Set("X-Razorpay-Signature", hex.EncodeToString(mac.Sum(nil)))
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F)  { suite.FuzzEvents(f) }
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "X-Razorpay-Signature") }

// The four events of one payment are one sale, whatever their order.
func TestOnePaymentIsOneSale(t *testing.T) {
	t.Parallel()
	subscription := []string{
		"subscription_authenticated_and_paid.json", "subscription_payment_captured.json", "subscription_order_paid.json",
		"subscription_invoice_paid.json", "subscription_charged.json",
	}
	oneTime := []string{"one_time_order_paid.json", "one_time_payment_captured.json"}
	for _, tt := range []struct {
		name     string
		fixtures []string
		opts     []razorpay.Option
		want     fprom.Sale
	}{
		{
			name: "subscription", fixtures: subscription,
			want: fprom.Sale{
				EventID: "pay_FpSub000000001", Email: "asha@example.com", UID: "user-4711", Amount: 100000, Currency: "INR",
				Quantity: 3, Plan: "plan_FpPro000000001", TID: "tid-razorpay-0001",
			},
		},
		{
			name: "subscription, payment.captured only", fixtures: subscription, opts: []razorpay.Option{razorpay.WithPaymentCaptured()},
			want: fprom.Sale{EventID: "pay_FpSub000000001", Email: "asha@example.com", Amount: 100000, Currency: "INR"},
		},
		{
			name: "one-time", fixtures: oneTime,
			want: fprom.Sale{
				EventID: "pay_FpOne000000001", Email: "asha@example.com", UID: "user-4711", Amount: 100000, Currency: "INR",
				Plan: "lifetime", TID: "tid-razorpay-0001",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			order := slices.Clone(tt.fixtures)
			for range 2 {
				slices.Reverse(order)
				order = append(order, order...)
				if got := suite.With(razorpay.Provider(tt.opts...)).Deliver(t, order); len(got) != 1 || got[0] != tt.want {
					t.Errorf("%v: got %+v, want one %+v", order, got, tt.want)
				}
			}
		})
	}
}

// A refund names its sale by the same id, also where it comes first; two partial refunds are two refunds that add up.
func TestPartialRefunds(t *testing.T) {
	t.Parallel()
	suite.PartialRefunds(t, []string{
		"refund_partial_1.json", "one_time_payment_captured.json", "refund_partial_2.json", "refund_partial_1.json", "refund_created.json",
	})
}

func TestLookups(t *testing.T) {
	t.Parallel()
	var asked []string
	payment := billing.WithPayment(func(_ context.Context, id string) (billing.Payment, error) {
		asked = append(asked, id)
		return billing.Payment{UID: "user-9", Total: 295990, Tax: 29599}, nil
	})
	customer := billing.WithCustomer(func(_ context.Context, id string) (billing.Customer, error) {
		asked = append(asked, id)
		return billing.Customer{UID: "user-8"}, nil
	})
	refund, err := razorpay.Provider().Events(billingtest.Read(t, "refund_three_decimal_kwd.json"), payment, customer)
	if err != nil || len(refund) != 1 || refund[0].(fprom.Refund).UID != "user-9" || refund[0].(fprom.Refund).Amount != 8999 {
		t.Errorf("refund: got %+v, %v", refund, err)
	}
	end, err := razorpay.Provider().Events(billingtest.Read(t, "subscription_cancelled_no_customer.json"), payment, customer)
	if err != nil || len(end) != 1 || end[0] != (fprom.Cancellation{UID: "user-8"}) {
		t.Errorf("cancellation: got %+v, %v", end, err)
	}
	if want := []string{"pay_FpKwd000000001", "cust_Fp00000000001"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v, want %v", asked, want)
	}
	down := billing.WithPayment(func(context.Context, string) (billing.Payment, error) {
		return billing.Payment{}, errors.New("database is down")
	})
	body := billingtest.Read(t, "refund_partial_1.json")
	h := razorpay.Handler(&billingtest.Sink{}, "s", down, billingtest.Quiet())
	if got := billingtest.Post(h, body, func(r *http.Request) { sign(r.Header, body, "s") }); got != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", got)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, fixture string
		opts          []billing.Option
		want          []fprom.Event
	}{
		{
			name: "trial as sign-up", fixture: "trial_authenticated.json", opts: []billing.Option{billing.WithTrialSignups()},
			want: []fprom.Event{fprom.Signup{UID: "user-4711", TID: "tid-razorpay-0001"}},
		},
		{name: "no disputes", fixture: "dispute_lost.json", opts: []billing.Option{billing.WithoutDisputes()}},
		{
			name: "three digits", fixture: "three_decimal_kwd.json", opts: []billing.Option{billing.WithExponents(map[string]int{"KWD": 3})},
			want: []fprom.Event{fprom.Sale{EventID: "pay_FpKwd000000001", Email: "asha@example.com", Amount: 295990, Currency: "KWD"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := razorpay.Provider().Events(billingtest.Read(t, tt.fixture), tt.opts...)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// A note that cannot be right must not become a wrong commission.
func TestWrongNotes(t *testing.T) {
	t.Parallel()
	for _, note := range []string{`"180.00"`, `"-1"`, `"118001"`, `"18%"`, `true`, `"net"`} {
		body := strings.ReplaceAll(string(billingtest.Read(t, "one_time_payment_captured.json")), `"18000"`, note)
		events, err := razorpay.Provider().Events([]byte(body))
		var invalid *fprom.ValidationError
		if !errors.As(err, &invalid) || !strings.HasSuffix(invalid.Field, "notes.fp_tax") {
			t.Errorf("fp_tax %s: got %+v, %v; want an error about it", note, events, err)
		}
		body = strings.ReplaceAll(string(billingtest.Read(t, "subscription_upgraded.json")), `"118000"`, note)
		if events, err = razorpay.Provider().Events([]byte(body)); note != `"118001"` && !errors.As(err, &invalid) {
			t.Errorf("fp_total %s: got %+v, %v; want an error about it", note, events, err)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	body := []byte(`{"event":"payment.captured"}`)
	h := http.Header{}
	// printf %s '{"event":"payment.captured"}' | openssl dgst -sha256 -hmac secret
	h.Set("X-Razorpay-Signature", "8308ed257604fd2e3a5f31e3ca7b5a85c225df5b0dc02b63004414e0a99c1e6e")
	if err := razorpay.Provider().Check(h, body, "secret"); err != nil {
		t.Error(err)
	}
	if err := razorpay.Provider().Check(h, body, "secret2"); !errors.Is(err, billing.ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
	h.Set("X-Razorpay-Signature", " "+h.Get("X-Razorpay-Signature")+" ")
	if err := razorpay.Provider().Check(h, body, "secret"); err != nil {
		t.Errorf("white space around the signature: %v", err)
	}
	h.Set("X-Razorpay-Signature", "not hexadecimal")
	if err := razorpay.Provider().Check(h, body, "secret"); !errors.Is(err, billing.ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
}
