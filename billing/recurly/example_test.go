package recurly_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/recurly"
	"github.com/fprom-go/fprom/fpromtest"
)

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/recurly", gin.WrapH(recurly.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "fprom:a password"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/recurly", recurly.Handler(tracker, secret))

	// Recurly sends this.
	r, err := fpromtest.Webhook("recurly", "paid_charge_invoice_notification", fpromtest.WebhookConfig{Secret: secret, ID: "1001", UID: "user-1", TID: "b1a2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"inv1001","email":"jane@example.com","amount":2000,"currency":"usd"}
	// 200
}
