package paypal_test

import (
	"fmt"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/paypal"
)

func ExampleHandler() {
	var tracker *fprom.Tracker // fprom.New(fprom.Config{…}); nil drops the events, for development without credentials
	http.Handle("POST /webhooks/paypal", paypal.Handler(tracker, "the id of the webhook, such as 4JH86294D6297924G"))
}

func ExampleEvents() {
	events, err := paypal.Events([]byte(`{
		"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource_type": "capture",
		"resource": {
			"id": "2GG279541U471931P", "status": "COMPLETED",
			"amount": {"currency_code": "EUR", "value": "119.00"},
			"custom_id": "fp_tax=19.00&fp_tid=tid-1&fp_total=119.00&fp_uid=user-4711"
		}
	}`))
	if err != nil {
		fmt.Println(err)
		return
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
