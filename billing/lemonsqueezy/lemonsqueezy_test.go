package lemonsqueezy_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/lemonsqueezy"
)

var suite = billingtest.Suite{Provider: lemonsqueezy.Provider(), Sign: sign, Sale: "one_time.json", For: options}

func sign(h http.Header, body []byte, secret string) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	h.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
}

func refundedBefore(sum int64) billing.Option {
	return billing.WithPayment(func(_ context.Context, id string) (billing.Payment, error) {
		if id != "order:1001" {
			return billing.Payment{}, errors.New("asked for " + id)
		}
		return billing.Payment{Total: 12100, Tax: 2100, Refunded: sum}, nil
	})
}

func options(fixture string) (billing.Provider, []billing.Option) {
	return lemonsqueezy.Provider(), optionsOf(fixture)
}

func optionsOf(fixture string) []billing.Option {
	switch strings.TrimSuffix(fixture, ".json") {
	case "trial_order_signup":
		return []billing.Option{billing.WithTrialSignups()}
	case "test_mode_accepted":
		return []billing.Option{billing.WithTestMode()}
	case "refund_lookup_1":
		return []billing.Option{refundedBefore(0)}
	case "refund_lookup_2":
		return []billing.Option{refundedBefore(3630)}
	}
	return nil
}

func TestGolden(t *testing.T)  { t.Parallel(); suite.Golden(t) }
func TestHandler(t *testing.T) { t.Parallel(); suite.HandlerTable(t) }
func FuzzEvents(f *testing.F) {
	suite.FuzzEvents(f, billing.WithTrialSignups(), billing.WithTestMode())
}
func FuzzHandler(f *testing.F) { suite.FuzzHandler(f, "X-Signature") }

func TestVerify(t *testing.T) {
	t.Parallel()
	body := []byte(`{"meta":{}}`)
	h := http.Header{}
	sign(h, body, "s1")
	good := h.Get("X-Signature")
	for _, tt := range []struct {
		name, header string
		opts         []billing.Option
		ok           bool
	}{
		{name: "good", header: good, ok: true},
		{name: "upper case", header: strings.ToUpper(good), ok: true},
		{name: "no header"},
		{name: "not hex", header: "sha256=" + good},
		{name: "truncated", header: good[:32]},
	} {
		err := lemonsqueezy.Provider().Check(http.Header{"X-Signature": {tt.header}}, body, "s1", tt.opts...)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
			t.Errorf("%s: %v, want ok %v", tt.name, err, tt.ok)
		}
	}
	if err := lemonsqueezy.Provider().Check(h, body, "new", billing.WithSecrets("s1")); err != nil {
		t.Errorf("rotation: %v", err)
	}
}

// The first payment of a subscription is an order and an invoice with the same number; the renewal is another one, told
// twice when it was recovered.
func TestSubscription(t *testing.T) {
	t.Parallel()
	got := suite.Deliver(t, []string{
		"subscription_first_invoice.json", "subscription_first_order.json", "subscription_first_order.json",
		"subscription_renewal.json", "subscription_recovered.json", "subscription_cancelled.json", "subscription_expired.json",
	})
	var ids []string
	for _, e := range got {
		if s, ok := e.(fprom.Sale); ok {
			ids = append(ids, s.EventID)
		}
	}
	if strings.Join(ids, " ") != "order:1002 subinv:1003" || len(got) != 3 {
		t.Errorf("accepted %v", got)
	}
}

// The order that was sold is the one that is refunded, by its id and as much as was paid for it.
func TestRefundNamesSale(t *testing.T) {
	t.Parallel()
	got := suite.Deliver(t, []string{"refund_renewal.json", "subscription_renewal.json", "refund_first_invoice.json"})
	if len(got) != 2 {
		t.Fatalf("accepted %v", got)
	}
	refund, sale := got[0].(fprom.Refund), got[1].(fprom.Sale)
	if refund.SaleEventID != sale.EventID || refund.Amount != sale.Amount {
		t.Errorf("%+v of %+v", refund, sale)
	}
}

// ledger is what a durable queue remembers of what the sink accepted.
type ledger struct {
	sink    *billingtest.Sink
	err     error
	then    func() // after the entries are read
	dropped string // the key of a dead letter that somebody has dropped
}

func (l ledger) Entries(_ context.Context, f fprom.Filter) iter.Seq2[fprom.Entry, error] {
	return func(yield func(fprom.Entry, error) bool) {
		if l.err != nil {
			yield(fprom.Entry{}, l.err)
			return
		}
		for _, e := range l.sink.Events() {
			m, err := fprom.NewMessage(e)
			if err != nil || !slices.Contains(f.Keys, m.Key) || m.Kind != f.Kind || m.Key == l.dropped {
				continue
			}
			if !yield(fprom.NewEntry(m), nil) {
				return
			}
		}
		if l.then != nil {
			l.then()
		}
	}
}

// With the ledger of a durable queue every partial refund is reported once, whatever comes again or late.
func TestPartialRefundsWithOutbox(t *testing.T) {
	t.Parallel()
	first, second := billingtest.Read(t, "refund_partial_1.json"), billingtest.Read(t, "refund_partial_2.json")
	dinars := func(sum string) []byte { // three decimal digits, of which FirstPromoter takes two
		return []byte(`{"meta":{"event_name":"order_refunded"},"data":{"id":"1","attributes":{"user_email":"ada@example.com",
			"currency":"KWD","total":12100,"tax":2100,"refunded_amount":` + sum + `}}}`)
	}
	for _, tt := range []struct {
		name   string
		atOnce bool // each looks into the ledger before the ones behind it are stored
		bodies [][]byte
		want   string
	}{
		{"in order", false, [][]byte{first, first, second, second, first}, "order:1001 3000 order:1001:2 7000"},
		{"out of order", false, [][]byte{second, first, second}, "order:1001 10000"},
		{"at once", true, [][]byte{dinars("12100"), dinars("2420"), dinars("1210")}, "order:1 100 order:1:2 100 order:1:3 800"},
		{"at once, the last one stored first", true, [][]byte{first, first, second}, "order:1001 10000"},
		{"three", false, [][]byte{dinars("1210"), dinars("2420"), dinars("1210"), dinars("2420"), dinars("12100"), dinars("12100")}, "order:1 100 order:1:2 100 order:1:3 800"},
	} {
		l := ledger{sink: &billingtest.Sink{}}
		var h http.Handler
		var log bytes.Buffer
		next := func() {
			if len(tt.bodies) == 0 {
				return
			}
			body := tt.bodies[0]
			tt.bodies = tt.bodies[1:]
			if got := billingtest.Post(h, body, func(r *http.Request) { sign(r.Header, body, "s") }); got != http.StatusOK {
				t.Errorf("%s: status %d", tt.name, got)
			}
		}
		if tt.atOnce {
			l.then = next
		}
		h = billing.Handler(l.sink, lemonsqueezy.Provider(lemonsqueezy.WithOutbox(l)), "s", billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		for len(tt.bodies) > 0 {
			next()
		}
		// The Tracker has said that the event is not tracked: without a further line somebody would enter it by hand.
		if strings.Contains(log.String(), "needs nobody") != tt.atOnce || strings.Contains(log.String(), "by hand") {
			t.Errorf("%s: logged %q", tt.name, log.String())
		}
		var got []string
		for _, e := range l.sink.Events() {
			got = append(got, e.(fprom.Refund).EventID, strconv.FormatInt(e.(fprom.Refund).Amount, 10))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: accepted %v, want %s", tt.name, got, tt.want)
		}
	}
	broken := lemonsqueezy.Provider(lemonsqueezy.WithOutbox(ledger{err: errors.New("the file is damaged")}))
	h := billing.Handler(&billingtest.Sink{}, broken, "s", billingtest.Quiet())
	if got := billingtest.Post(h, first, func(r *http.Request) { sign(r.Header, first, "s") }); got != http.StatusServiceUnavailable {
		t.Errorf("the ledger cannot be read: status %d, want 503", got)
	}
}

// A refund does not get the id of another one, if the first one was a dead letter and somebody has dropped it. It takes back what that one
// has not.
func TestPartialRefundAfterADroppedOne(t *testing.T) {
	t.Parallel()
	l := ledger{sink: &billingtest.Sink{}}
	body := func(sum int) []byte {
		return fmt.Appendf(nil, `{"meta":{"event_name":"order_refunded"},"data":{"id":"1","attributes":{"user_email":"ada@example.com",
			"currency":"EUR","total":12100,"tax":2100,"refunded_amount":%d}}}`, sum)
	}
	var got []string
	for _, sum := range []int{1210, 2420, 12100} {
		if sum == 12100 {
			l.dropped = "refund:order:1"
		}
		events, err := lemonsqueezy.Provider(lemonsqueezy.WithOutbox(l)).Events(body(sum))
		if err != nil || len(events) != 1 {
			t.Fatal(sum, events, err)
		}
		r := events[0].(fprom.Refund)
		got = append(got, r.EventID, strconv.FormatInt(r.Amount, 10))
		if err := l.sink.Enqueue(t.Context(), r); err != nil {
			t.Errorf("%s: %v", r.EventID, err)
		}
	}
	if want := "order:1 1000 order:1:2 1000 order:1:3 9000"; strings.Join(got, " ") != want {
		t.Errorf("refunds %v, want %s", got, want)
	}
}

// Of several partial refunds the sum is told each time: with what was refunded before, all together are the sale, also where each is rounded.
func TestPartialRefunds(t *testing.T) {
	t.Parallel()
	third := func(sum int) []byte {
		return fmt.Appendf(nil, `{"meta":{"event_name":"order_refunded"},"data":{"id":"1001","attributes":{"user_email":"ada@example.com",
			"currency":"EUR","total":1000,"tax":167,"refunded_amount":%d}}}`, sum)
	}
	for _, tt := range []struct {
		bodies [][]byte
		before []int64
		want   int64
	}{
		{[][]byte{billingtest.Read(t, "refund_lookup_1.json"), billingtest.Read(t, "refund_lookup_2.json")}, []int64{0, 3630}, 10000},
		{[][]byte{third(333), third(666), third(1000)}, []int64{0, 333, 666}, 833},
	} {
		var sum int64
		for i, body := range tt.bodies {
			events, err := lemonsqueezy.Provider().Events(body, refundedBefore(tt.before[i]))
			if err != nil || len(events) != 1 {
				t.Fatal(i, events, err)
			}
			sum += events[0].(fprom.Refund).Amount
		}
		if sum != tt.want {
			t.Errorf("refunded %d, want %d", sum, tt.want)
		}
	}
}

// A payment that the application does not know does not say that nothing was refunded before: the sum of both refunds is
// not taken back on top of the first one.
func TestPartialRefundsOfUnknownPayment(t *testing.T) {
	t.Parallel()
	unknown := billing.WithPayment(func(context.Context, string) (billing.Payment, error) { return billing.Payment{}, nil })
	got := suite.Deliver(t, []string{"refund_partial_1.json", "refund_partial_2.json"}, unknown)
	if len(got) != 1 || got[0].(fprom.Refund).Amount != 3000 {
		t.Errorf("accepted %v, want the first refund alone", got)
	}
}
