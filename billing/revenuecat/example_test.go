package revenuecat_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/revenuecat"
)

const renewal = `{
	"event": {
		"type": "RENEWAL", "id": "12345678-1234-1234-1234-123456789012", "environment": "PRODUCTION", "period_type": "NORMAL",
		"store": "APP_STORE", "transaction_id": "200000000000001", "app_user_id": "user-4711", "product_id": "pro.monthly",
		"currency": "EUR", "price_in_purchased_currency": 7.99, "tax_percentage": 0.1597, "commission_percentage": 0.2521
	},
	"api_version": "1.0"
}`

// The endpoint of the webhook; the secret is what was entered as authorization header in RevenueCat's dashboard. In Gin:
// router.POST("/webhooks/revenuecat", gin.WrapH(revenuecat.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "Bearer 4f1c…"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/revenuecat", revenuecat.Handler(tracker, secret))

	r := httptest.NewRequest(http.MethodPost, "/webhooks/revenuecat", strings.NewReader(renewal))
	r.Header.Set("Authorization", secret) // RevenueCat does this
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)

	forged := httptest.NewRequest(http.MethodPost, "/webhooks/revenuecat", strings.NewReader(renewal))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, forged)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"app_store:200000000000001","uid":"user-4711","amount":671,"currency":"eur","plan":"pro.monthly"}
	// 200
	// 401
}

func ExampleProvider() {
	events, err := revenuecat.Provider().Events([]byte(renewal))
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.UID, sale.Amount, sale.Currency, sale.Plan)
	}
	// Output: app_store:200000000000001 user-4711 671 EUR pro.monthly
}

func ExampleWithCommission() {
	events, err := revenuecat.Provider(revenuecat.WithCommission()).Events([]byte(renewal))
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events {
		fmt.Println(e.(fprom.Sale).Amount)
	}
	// Output: 470
}
