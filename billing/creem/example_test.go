package creem_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/creem"
	"github.com/fprom-go/fprom/fpromtest"
)

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/creem", gin.WrapH(creem.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "the secret of the webhook"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/creem", creem.Handler(tracker, secret))

	// Creem sends this.
	r, err := fpromtest.Webhook("creem", "checkout.completed", fpromtest.WebhookConfig{Secret: secret, ID: "1001", UID: "user-1", TID: "b1a2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"ord_1001","email":"jane@example.com","uid":"user-1","amount":2000,"currency":"usd","quantity":1,"plan":"plan_pro","tid":"b1a2"}
	// 200
}
