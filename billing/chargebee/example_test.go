package chargebee_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/chargebee"
	"github.com/fprom-go/fprom/fpromtest"
)

// printer stands for a *fprom.Tracker.
type printer struct{}

func (printer) Enqueue(_ context.Context, events ...fprom.Event) error {
	for _, e := range events {
		m, err := fprom.NewMessage(e)
		if err != nil {
			return err
		}
		fmt.Println("POST /"+m.Kind, string(m.Body))
	}
	return nil
}

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/chargebee", gin.WrapH(chargebee.Handler(tracker, secret))).
func ExampleHandler() {
	const secret = "fprom:a password"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/chargebee", chargebee.Handler(printer{}, secret))

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
