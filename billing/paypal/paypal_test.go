package paypal_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/paypal"
)

var suite = billingtest.Suite{Provider: paypal.Provider(served().option()), Sign: signRequest, Sale: "capture_completed.json"}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F)  { suite.FuzzEvents(f) }
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Paypal-Transmission-Sig") }
func FuzzCertURL(f *testing.F) { suite.FuzzHandler(f, "Paypal-Cert-Url") }

// A sale that is held back is announced again when it is released; an order is announced too. Each is one sale.
func TestOnePaymentIsOneSale(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fixtures []string
		want     fprom.Sale
	}{
		{
			[]string{"subscription_created.json", "subscription_activated.json", "subscription_sale_held.json", "subscription_sale_hold_released.json"},
			fprom.Sale{EventID: "5CS38179PL8954023", UID: "user-4712", Amount: 1490, Currency: "USD", TID: "tid-paypal-0003"},
		},
		{
			[]string{"order_approved.json", "order_completed.json", "capture_completed.json", "capture_completed.json"},
			fprom.Sale{EventID: "2GG279541U471931P", UID: "user-4711", Amount: 10000, Currency: "USD", Plan: "lifetime", TID: "tid-paypal-0001"},
		},
	} {
		for range 2 {
			if got := suite.Deliver(t, tt.fixtures); len(got) != 1 || got[0] != tt.want {
				t.Errorf("%v: got %+v, want one %+v", tt.fixtures, got, tt.want)
			}
			slices.Reverse(tt.fixtures)
		}
	}
}

// A refund names its sale by the same id, also where it comes first; two partial refunds are two refunds that add up.
func TestPartialRefunds(t *testing.T) {
	t.Parallel()
	suite.PartialRefunds(t, []string{"refund_partial_2.json", "capture_completed.json", "refund_partial_1.json", "refund_partial_2.json", "refund_pending.json"})
	suite.PartialRefunds(t, []string{"sale_refund_partial_1.json", "subscription_sale.json", "sale_refund_partial_2_old_negative.json"})
}

func TestLookups(t *testing.T) {
	t.Parallel()
	var asked []string
	opts := []billing.Option{
		billing.WithPayment(func(_ context.Context, id string) (billing.Payment, error) {
			asked = append(asked, id)
			return billing.Payment{Email: "robin@example.com", Total: 11900, Tax: 1900, SaleEventID: "order-1"}, nil
		}),
		billing.WithCustomer(func(_ context.Context, id string) (billing.Customer, error) {
			asked = append(asked, id)
			return billing.Customer{UID: "user-8"}, nil
		}),
	}
	for _, tt := range []struct {
		fixture string
		want    fprom.Event
		asked   string
	}{
		{
			"refund_no_customer.json",
			fprom.Refund{EventID: "1JU08902781691414", Email: "robin@example.com", Amount: 83, Currency: "USD", SaleEventID: "order-1"},
			"0JF852973C016714D",
		},
		{
			"subscription_sale_no_custom.json",
			fprom.Sale{EventID: "5CS38179PL8954024", UID: "user-8", Amount: 1490, Currency: "USD"},
			"I-FPBW452GLLEP",
		},
		{
			"capture_no_customer.json",
			fprom.Sale{EventID: "2GG279541U471934P", UID: "user-8", Amount: 3000, Currency: "USD"},
			"5O190127TN364715T",
		},
		{ // a custom_id without entries is some id of the application's: it is asked first
			"capture_custom_id_is_uid.json",
			fprom.Sale{EventID: "2GG279541U471932P", UID: "user-8", Amount: 3000, Currency: "USD"},
			"5O190127TN364715T",
		},
		{"subscription_expired.json", fprom.Cancellation{UID: "user-8"}, "I-FPBW452GLLEP"},
	} {
		asked = nil
		got, err := paypal.Provider().Events(billingtest.Read(t, tt.fixture), opts...)
		if err != nil || len(got) != 1 || got[0] != tt.want || !slices.Equal(asked, []string{tt.asked}) {
			t.Errorf("%s: got %+v, %v after asking for %v, want %+v and %s", tt.fixture, got, err, asked, tt.want, tt.asked)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, fixture string
		opt           billing.Option
		want          []fprom.Event
	}{
		{
			"sandbox", "capture_sandbox.json", billing.WithTestMode(),
			[]fprom.Event{fprom.Sale{EventID: "2GG279541U471939P", UID: "user-4711", Amount: 3000, Currency: "USD"}},
		},
		{
			"trial as sign-up", "subscription_activated_trial.json", billing.WithTrialSignups(),
			[]fprom.Event{fprom.Signup{Email: "robin@example.com", TID: "tid-paypal-0004"}},
		},
		{"reversal of a capture", "capture_reversed.json", billing.WithoutDisputes(), nil},
		{"reversal of a sale", "sale_reversed.json", billing.WithoutDisputes(), nil},
		{
			"digits", "capture_huf_without_decimals.json", billing.WithExponents(map[string]int{"HUF": 0}),
			[]fprom.Event{fprom.Sale{EventID: "2GG279541U471936P", UID: "user-4711", Amount: 4990, Currency: "HUF"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := paypal.Provider().Events(billingtest.Read(t, tt.fixture), tt.opt)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// What a custom_id holds becomes entries, a uid, or an error; never a wrong amount.
func TestCustomID(t *testing.T) {
	t.Parallel()
	const entries = "fp_tid=tid-paypal-0001&fp_uid=user-4711&fp_total=119.00&fp_tax=19.00&fp_plan=lifetime"
	for _, tt := range []struct {
		customID string
		uid      string
		amount   int64 // 0: an error
	}{
		{entries, "user-4711", 10000},
		{"dXNlcg==", "dXNlcg==", 11900}, // an id with equals signs
		{"a=1&b=2", "a=1&b=2", 11900},
		{"fp_uid=u%2B1", "u+1", 11900},
		{`{\"fp_uid\":\"u\",\"fp_tax\":\"19.00\"}`, "u", 10000},
		{"fp_uid=u&fp_tax=19.00", "u", 10000},
		{"fp_uid=u&fp_tax=120", "", 0},
		{"fp_uid=u&fp_tax=-19", "", 0},
		{"fp_uid=u&fp_tax=19%25", "", 0},
		{"fp_uid=u&fp_total=119,00&fp_tax=19", "", 0},
	} {
		body := strings.Replace(string(billingtest.Read(t, "capture_completed.json")), entries, tt.customID, 1)
		got, err := paypal.Provider().Events([]byte(body))
		switch {
		case tt.amount == 0 && err == nil:
			t.Errorf("%s: got %+v, want an error", tt.customID, got)
		case tt.amount != 0 && (err != nil || len(got) != 1 || got[0].(fprom.Sale).UID != tt.uid || got[0].(fprom.Sale).Amount != tt.amount):
			t.Errorf("%s: got %+v, %v, want %s and %d", tt.customID, got, err, tt.uid, tt.amount)
		}
	}
	if _, err := paypal.CustomID(map[string]string{"fp_tid": strings.Repeat("x", 121)}); err == nil {
		t.Error("a custom_id that is too long is no error")
	}
	if s, err := paypal.CustomID(map[string]string{"fp_tid": strings.Repeat("x", 120), "fp_uid": ""}); err != nil || len(s) != 127 {
		t.Errorf("the longest custom_id, without an empty entry: %q, %v", s, err)
	}
}
