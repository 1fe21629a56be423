package stripe_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/stripe"
)

var suite = billingtest.Suite{Provider: stripe.Provider(), Sign: sign, Sale: "invoice_basil_subscription.json", For: options}

func sign(h http.Header, body []byte, secret string) { signAt(h, body, secret, time.Now()) }

func signAt(h http.Header, body []byte, secret string, at time.Time) {
	t := strconv.FormatInt(at.Unix(), 10)
	h.Set("Stripe-Signature", "t="+t+",v1="+sum(t, body, secret)+",v0=00")
}

func sum(t string, body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// payment is what an application's own store would answer for the one-time payment of the fixtures.
func payment(_ context.Context, id string) (billing.Payment, error) {
	if id != "pi_3Ronetime" {
		return billing.Payment{}, nil
	}
	return billing.Payment{SaleEventID: id, Email: "bob@example.com", Total: 12600, Tax: 2100}, nil
}

func customer(_ context.Context, id string) (billing.Customer, error) {
	if id != "cus_Sexample" && id != "acct_1Rcustomer" {
		return billing.Customer{}, errors.New("no such customer")
	}
	return billing.Customer{Email: "ada@example.com", UID: "user-1", TID: "tid-of-customer"}, nil
}

func options(fixture string) (billing.Provider, []billing.Option) {
	has := func(s string) bool { return strings.Contains(fixture, s) }
	var own []stripe.Option
	for part, o := range map[string]stripe.Option{
		"payment_intent_option":  stripe.WithPaymentIntents(),
		"payment_intents_option": stripe.WithPaymentIntents(),
		"charge_refunded_option": stripe.WithChargeRefunded(),
		"charge_option":          stripe.WithChargeRefunded(),
		"reference_tid":          stripe.WithClientReferenceTID(),
		"reference_uid":          stripe.WithClientReferenceUID(),
		"account_option":         stripe.WithAccounts(""),
	} {
		if has(part) {
			own = append(own, o)
		}
	}
	var opts []billing.Option
	for part, o := range map[string]billing.Option{
		"trial_signup":       billing.WithTrialSignups(),
		"free_signup":        billing.WithTrialSignups(),
		"exponent_option":    billing.WithExponents(map[string]int{"KWD": 3}),
		"test_mode_accepted": billing.WithTestMode(),
		"lookup":             billing.WithCustomer(customer),
		"custom_keys":        billing.WithKeys(billing.Keys{TID: "visitor", UID: "account"}),
		"refund_partial":     billing.WithPayment(payment),
		"dispute_option_off": billing.WithoutDisputes(),
	} {
		if has(part) {
			opts = append(opts, o)
		}
	}
	return stripe.Provider(own...), opts
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F) {
	suite.With(stripe.Provider(stripe.WithChargeRefunded(), stripe.WithPaymentIntents())).FuzzEvents(f, billing.WithTrialSignups(), billing.WithTestMode(), billing.WithPayment(payment))
}
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "Stripe-Signature") }

func TestVerify(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body := []byte(`{"id":"evt_1"}`)
		now := time.Now()
		stamp := strconv.FormatInt(now.Unix(), 10)
		good := sum(stamp, body, "whsec_a")
		for _, tt := range []struct {
			name, header string
			opts         []billing.Option
			ok           bool
		}{
			{name: "good", header: "t=" + stamp + ",v1=" + good, ok: true},
			{name: "several signatures", header: "t=" + stamp + ",v1=" + sum(stamp, body, "whsec_b") + ", v1=" + good, ok: true},
			{name: "no header", header: ""},
			{name: "only v0", header: "t=" + stamp + ",v0=" + good},
			{name: "no time", header: "v1=" + good},
			{name: "another time", header: "t=1,v1=" + good},
			{name: "not hex", header: "t=" + stamp + ",v1=zz"},
			{name: "truncated", header: "t=" + stamp + ",v1=" + good[:62]},
			{name: "rotation", header: "t=" + stamp + ",v1=" + sum(stamp, body, "whsec_old"), opts: []billing.Option{billing.WithSecrets("whsec_old")}, ok: true},
			{name: "not in rotation", header: "t=" + stamp + ",v1=" + sum(stamp, body, "whsec_old")},
			{name: "empty secret in rotation", header: "t=" + stamp + ",v1=" + good, opts: []billing.Option{billing.WithSecrets("")}},
		} {
			err := stripe.Provider().Check(http.Header{"Stripe-Signature": {tt.header}}, body, "whsec_a", tt.opts...)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
				t.Errorf("%s: %v, want ok %v", tt.name, err, tt.ok)
			}
		}
		for _, tt := range []struct {
			age  time.Duration
			opts []billing.Option
			ok   bool
		}{
			{age: 5 * time.Minute, ok: true},
			{age: 5*time.Minute + time.Second},
			{age: -5 * time.Minute, ok: true},
			{age: -5*time.Minute - time.Second},
			{age: time.Hour, opts: []billing.Option{billing.WithTolerance(2 * time.Hour)}, ok: true},
			{age: 1000 * time.Hour, opts: []billing.Option{billing.WithTolerance(0)}, ok: true},
		} {
			h := http.Header{}
			signAt(h, body, "whsec_a", now.Add(-tt.age))
			if err := stripe.Provider().Check(h, body, "whsec_a", tt.opts...); (err == nil) != tt.ok {
				t.Errorf("age %v: %v, want ok %v", tt.age, err, tt.ok)
			}
		}
	})
}

// One payment is announced by six events, each of them twice, in any order: it is one sale.
func TestOneSale(t *testing.T) {
	t.Parallel()
	suite.OneSale(t, "in_1RbasilSub0001",
		"other_charge_succeeded.json", "other_payment_intent_succeeded.json", "invoice_payment_succeeded.json",
		"other_invoice_payment_paid.json", "invoice_basil_subscription.json", "session_subscription_unattributed.json")
}

// The events of connected accounts are told apart from the platform's own.
func TestAccounts(t *testing.T) {
	t.Parallel()
	fixtures := []string{"invoice_basil_subscription.json", "invoice_connected_account_option.json", "invoice_organization.json"}
	for _, tt := range []struct {
		opts []stripe.Option
		want string
	}{
		{nil, "in_1RbasilSub0001 in_1Rconnected in_1Rmember"},
		{[]stripe.Option{stripe.WithAccounts("")}, "in_1RbasilSub0001 in_1Rmember"},
		{[]stripe.Option{stripe.WithAccounts("acct_1Rconnected")}, "in_1Rconnected"},
		{[]stripe.Option{stripe.WithAccounts("acct_1Rmember")}, "in_1Rmember"},
		{[]stripe.Option{stripe.WithAccounts("acct_1Rplatform")}, ""},
		{[]stripe.Option{stripe.WithAccounts("", "acct_1Rconnected")}, "in_1RbasilSub0001 in_1Rconnected in_1Rmember"},
	} {
		var ids []string
		for _, e := range suite.With(stripe.Provider(tt.opts...)).Deliver(t, fixtures) {
			ids = append(ids, e.(fprom.Sale).EventID)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("accepted %s, want %s", got, tt.want)
		}
	}
}

// charge.refunded is cumulative: each refund takes back what is new.
func TestChargeRefundedDelta(t *testing.T) {
	t.Parallel()
	got := suite.With(stripe.Provider(stripe.WithChargeRefunded())).Deliver(t, []string{"charge_refunded_option_2.json", "charge_refunded_option_1.json", "charge_refunded_option_2.json"})
	var sum int64
	for _, e := range got {
		sum += e.(fprom.Refund).Amount
	}
	if len(got) != 2 || sum != 12100 {
		t.Errorf("accepted %v, want two refunds of 12100 together", got)
	}
}

// Without the tax, too, the refunds of a charge are together what its sale was, although each is rounded.
func TestChargeRefundedAddsUp(t *testing.T) {
	t.Parallel()
	payment := billing.WithPayment(func(context.Context, string) (billing.Payment, error) {
		return billing.Payment{Total: 1000, Tax: 167}, nil
	})
	var sum, before int64
	for _, refunded := range []int64{333, 666, 1000} {
		body := fmt.Appendf(nil, `{"type":"charge.refunded","livemode":true,"data":{"object":{"id":"ch_1","amount":1000,"amount_refunded":%d,"currency":"eur",
			"billing_details":{"email":"ada@example.com"}},"previous_attributes":{"amount_refunded":%d}}}`, refunded, before)
		events, err := stripe.Provider(stripe.WithChargeRefunded()).Events(body, payment)
		if err != nil || len(events) != 1 {
			t.Fatal(refunded, events, err)
		}
		sum, before = sum+events[0].(fprom.Refund).Amount, refunded
	}
	if sum != 833 {
		t.Errorf("refunded %d, want 833", sum)
	}
}

func TestLookupFails(t *testing.T) {
	t.Parallel()
	sink := &billingtest.Sink{}
	down := func(context.Context, string) (billing.Payment, error) {
		return billing.Payment{}, &fprom.ValidationError{Field: "x", Reason: "of the lookup's own"}
	}
	h := stripe.Handler(sink, "whsec_a", billing.WithPayment(down), billingtest.Quiet())
	body := billingtest.Read(t, "refund_partial_1.json")
	if got := billingtest.Post(h, body, func(r *http.Request) { sign(r.Header, body, "whsec_a") }); got != http.StatusServiceUnavailable || len(sink.Events()) != 0 {
		t.Errorf("status %d, accepted %v; want 503 and nothing", got, sink.Events())
	}
}
