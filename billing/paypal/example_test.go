package paypal_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/paypal"
)

const captured = `{
	"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource_type": "capture",
	"resource": {
		"id": "2GG279541U471931P", "status": "COMPLETED",
		"amount": {"currency_code": "EUR", "value": "119.00"},
		"custom_id": "fp_tax=19.00&fp_tid=tid-1&fp_total=119.00&fp_uid=user-4711"
	}
}`

// The endpoint of the webhook. In production paypal.Handler(tracker, webhookID) does, without WithCertificates. In Gin:
// router.POST("/webhooks/paypal", gin.WrapH(paypal.Handler(tracker, webhookID))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const webhookID = "4JH86294D6297924G"     // as shown beside the webhook in PayPal's dashboard
	provider := paypal.Provider(paypal.WithCertificates(served().fetch, ca().roots))
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/paypal", billing.Handler(tracker, provider, webhookID))

	r := httptest.NewRequest(http.MethodPost, "/webhooks/paypal", strings.NewReader(captured))
	signRequest(r.Header, []byte(captured), webhookID) // PayPal does this
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)

	forged := httptest.NewRequest(http.MethodPost, "/webhooks/paypal", strings.NewReader(captured))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, forged)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"2GG279541U471931P","uid":"user-4711","amount":10000,"currency":"eur","tid":"tid-1"}
	// 200
	// 400
}

func ExampleProvider() {
	events, err := paypal.Provider().Events([]byte(captured))
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.UID, sale.Amount, sale.Currency, sale.TID)
	}
	// Output: 2GG279541U471931P user-4711 10000 EUR tid-1
}

func ExampleCustomID() {
	// In the handler that creates the order: metadata := fprom.AttributionFrom(r).Metadata()
	metadata := map[string]string{"fp_tid": "tid-1"}
	metadata["fp_uid"] = "user-4711"
	metadata["fp_total"], metadata["fp_tax"] = "119.00", "19.00"
	id, err := paypal.CustomID(metadata)
	fmt.Println(id, err)
	// Output: fp_tax=19.00&fp_tid=tid-1&fp_total=119.00&fp_uid=user-4711 <nil>
}
