package fpromtest_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/fpromtest"
)

// A test of the endpoint that an application has: the sale and its refund, of one payment, and a webhook that nobody signed.
func ExampleWebhook() {
	fake := fpromtest.Start(fpromtest.InMemory(), fpromtest.WithAllLeads())
	defer fake.Close()
	tracker, err := fprom.New(fake.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	endpoint := stripe.Handler(tracker, "whsec_example")
	says := fpromtest.WebhookConfig{Secret: "whsec_example", ID: "1001", Email: "jane@example.com", Amount: 10000, Tax: 2000}
	for _, event := range []string{"checkout.session.completed", "refund.created"} {
		r, err := fpromtest.Webhook("stripe", event, says)
		if err != nil {
			fmt.Println(err)
			return
		}
		w := httptest.NewRecorder()
		endpoint.ServeHTTP(w, r)
		fmt.Println(event, w.Code)
	}
	if err := tracker.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, r := range fake.Requests() {
		fmt.Println(r.Kind, r.Status)
	}
	// Output:
	// checkout.session.completed 200
	// refund.created 200
	// sale 200
	// refund 200
}
