package whop_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/whop"
	"github.com/fprom-go/fprom/fpromtest"
)

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/whop", gin.WrapH(whop.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "the secret of the webhook"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/whop", whop.Handler(tracker, secret))

	// Whop sends this.
	r, err := fpromtest.Webhook("whop", "payment.succeeded", fpromtest.WebhookConfig{Secret: secret, ID: "1001", UID: "user-1", TID: "b1a2"})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"pay_1001","email":"jane@example.com","uid":"user-1","amount":2000,"currency":"usd","plan":"plan_pro","tid":"b1a2"}
	// 200
}
