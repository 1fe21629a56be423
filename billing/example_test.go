package billing_test

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
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
