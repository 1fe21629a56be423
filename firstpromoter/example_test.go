package firstpromoter_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/fprom-go/fprom/firstpromoter"
)

// FirstPromoter tells when somebody denies a commission. In FirstPromoter the subscription has the same header.
func ExampleWebhookHandler() {
	handler, err := firstpromoter.WebhookHandler(firstpromoter.WebhookOptions{
		Header: "X-Fprom-Secret", Value: "a long random text",
		On: func(_ context.Context, w firstpromoter.Webhook) error {
			fmt.Println(w.Type, w.EntityID, w.Was, "→", w.Commission.Status)
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/firstpromoter", handler)

	r := httptest.NewRequest(http.MethodPost, "/webhooks/firstpromoter", strings.NewReader(`{"event_id":"2f1c","event_type":"commission.denied",
		"action":"updated","entity_type":"commission","entity_id":88901,"changes":{"status":["approved","denied"]},"data":{"id":88901,"status":"denied"}}`))
	r.Header.Set("X-Fprom-Secret", "a long random text")
	mux.ServeHTTP(httptest.NewRecorder(), r)
	// Output: commission.denied 88901 approved → denied
}
