package chargebee_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/chargebee"
	"github.com/fprom-go/fprom/fpromtest"
)

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/chargebee", gin.WrapH(chargebee.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "fprom:a password"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/chargebee", chargebee.Handler(tracker, secret))

	// Chargebee sends this.
	r, err := fpromtest.Webhook("chargebee", "payment_succeeded", fpromtest.WebhookConfig{Secret: secret, ID: "1001", UID: "user-1", TID: "b1a2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"txn_1001","email":"jane@example.com","uid":"user-1","amount":2000,"currency":"usd","quantity":1,"plan":"plan_pro","tid":"b1a2"}
	// 200
}
