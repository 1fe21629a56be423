package stripe_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/stripe"
)

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/stripe", gin.WrapH(stripe.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "whsec_example"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/stripe", stripe.Handler(tracker, secret))

	body := `{"id": "evt_1", "type": "invoice.paid", "livemode": true, "data": {"object": {
		"id": "in_1", "amount_paid": 2420, "total": 2420, "total_excluding_tax": 2000, "currency": "eur",
		"customer_email": "ada@example.com", "parent": {"subscription_details": {"metadata": {"fp_tid": "b1a2"}}}}}}`
	r := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", strings.NewReader(body))
	sign(r.Header, []byte(body), secret) // the provider does this
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)

	forged := httptest.NewRequest(http.MethodPost, "/webhooks/stripe", strings.NewReader(body))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, forged)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"in_1","email":"ada@example.com","amount":2000,"currency":"eur","tid":"b1a2"}
	// 200
	// 400
}

func ExampleProvider() {
	events, err := stripe.Provider().Events([]byte(`{"id": "evt_1", "type": "invoice.paid", "livemode": true, "data": {"object": {
		"id": "in_1", "amount_paid": 2420, "total": 2420, "total_excluding_tax": 2000, "currency": "eur",
		"customer_email": "ada@example.com", "parent": {"subscription_details": {"metadata": {"fp_tid": "b1a2"}}}}}}`))
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.Amount, sale.Currency, sale.TID)
	}
	// Output:
	// in_1 2000 eur b1a2
}
