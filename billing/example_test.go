package billing_test

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/stripe"
)

// Webhooks whose signature is wrong, counted where /debug/vars shows them. A counter of Prometheus or OpenTelemetry goes in
// the same place.
func ExampleWithObserver() {
	refused := expvar.NewMap("webhooks_refused")
	handler := stripe.Handler(billingtest.Printer(os.Stdout), "whsec_example", billing.WithLogger(slog.New(slog.DiscardHandler)),
		billing.WithObserver(func(_ context.Context, x billing.Explanation) {
			if errors.Is(x.Err, billing.ErrSignature) {
				refused.Add(x.Provider, 1)
			}
		}))

	for range 3 {
		forged := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", strings.NewReader(`{"type": "invoice.paid"}`))
		handler.ServeHTTP(httptest.NewRecorder(), forged)
	}
	fmt.Println(refused)
	// Output: {"stripe": 3}
}

// Mollie's webhook of a payment has only its id, and no signature. So the endpoint reads the payment from Mollie's API, and
// gives the Handler that answer in place of the body.
func ExampleHandler_idOnly() {
	handler := billing.Handler(billingtest.Printer(os.Stdout), mollie, "the API key of Mollie") // a secret must not be empty
	endpoint := func(w http.ResponseWriter, r *http.Request) {
		payment, err := paymentAtMollie(r.Context(), r.FormValue("id"))
		if err != nil {
			slog.Error("Mollie gives no payment", "id", r.FormValue("id"), "error", err)
			http.Error(w, "again, please", http.StatusServiceUnavailable)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(payment))
		handler.ServeHTTP(w, r)
	}

	webhook := httptest.NewRequest(http.MethodPost, "/webhooks/mollie", strings.NewReader("id=tr_1"))
	webhook.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	endpoint(httptest.NewRecorder(), webhook)
	// Output:
	// POST /sale {"event_id":"tr_1","email":"ann@example.com","amount":4900,"currency":"eur","tid":"visitor-1"}
	// POST /refund {"event_id":"re_1","email":"ann@example.com","amount":"1000","currency":"eur","sale_event_id":"tr_1"}
}

// mollie is a Provider for payments without tax. The metadata of a payment are those that the shop gave when it made the payment.
var mollie = billing.Provider{
	Name:   "mollie",
	Verify: func(context.Context, billing.Delivery) error { return nil }, // the endpoint has read the body at Mollie itself
	Convert: func(p *billing.Payload) {
		p.Event(p.Root.Text("status"), p.Root.Text("id"))
		if p.SkipTest(p.Root.Text("mode").S == "test", "mode is test") {
			return
		}
		if p.Root.Text("status").S != "paid" {
			p.Skip(billing.NotFinal, "another webhook follows when it is paid")
			return
		}
		add := func(d *billing.Draft, n billing.Node) {
			d.ID(n.Text("id"))
			d.Metadata(p.Root.At("metadata"))
			currency := n.Text("amount.currency")
			digits, _ := p.Exponent(currency.S)
			d.Amount(n.Decimal("amount.value", digits), currency, digits)
			d.Add()
		}
		add(p.Sale(), p.Root)
		for _, n := range p.Root.Each("_embedded.refunds") {
			if n.Text("status").S == "refunded" {
				d := p.Refund()
				d.SaleID(p.Root.Text("id"))
				add(d, n)
			}
		}
	},
}

// paymentAtMollie stands for GET https://api.mollie.com/v2/payments/{id}?embed=refunds with the API key. Anyone can send an id: one
// with a slash or a question mark would be the address of something else.
func paymentAtMollie(_ context.Context, id string) (string, error) {
	if !regexp.MustCompile("^tr_[0-9A-Za-z]+$").MatchString(id) {
		return "", errors.New("no such payment")
	}
	return `{"id": "tr_1", "mode": "live", "status": "paid", "amount": {"value": "49.00", "currency": "EUR"},
		"metadata": {"fp_email": "ann@example.com", "fp_tid": "visitor-1"}, "_embedded": {"refunds": [
		{"id": "re_1", "status": "refunded", "amount": {"value": "10.00", "currency": "EUR"}}]}}`, nil
}
