package revenuecat_test

import (
	"fmt"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/revenuecat"
)

func ExampleHandler() {
	var tracker *fprom.Tracker // fprom.New(fprom.Config{…}); nil drops the events, for development without credentials
	http.Handle("POST /webhooks/revenuecat", revenuecat.Handler(tracker, "Bearer what-was-entered-in-the-dashboard"))
}

func ExampleEvents() {
	events, err := revenuecat.Events([]byte(`{
		"event": {
			"type": "RENEWAL", "id": "12345678-1234-1234-1234-123456789012", "environment": "PRODUCTION", "period_type": "NORMAL",
			"store": "APP_STORE", "transaction_id": "200000000000001", "app_user_id": "user-4711", "product_id": "pro.monthly",
			"currency": "EUR", "price_in_purchased_currency": 7.99, "tax_percentage": 0.1597, "commission_percentage": 0.2521
		},
		"api_version": "1.0"
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.UID, sale.Amount, sale.Currency, sale.Plan)
	}
	// Output: app_store:200000000000001 user-4711 671 EUR pro.monthly
}

func ExampleWithCommission() {
	events, err := revenuecat.Events([]byte(`{
		"event": {
			"type": "NON_RENEWING_PURCHASE", "id": "12345678-1234-1234-1234-123456789012", "store": "PLAY_STORE",
			"transaction_id": "GPA.1", "app_user_id": "user-4711", "currency": "USD",
			"price_in_purchased_currency": 10.00, "tax_percentage": 0.1, "commission_percentage": 0.15
		}
	}`), revenuecat.WithCommission())
	fmt.Println(events[0].(fprom.Sale).Amount, err)
	// Output: 750 <nil>
}
