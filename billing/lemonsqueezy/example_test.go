package lemonsqueezy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/lemonsqueezy"
)

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/lemonsqueezy", gin.WrapH(lemonsqueezy.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "example"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/lemonsqueezy", lemonsqueezy.Handler(tracker, secret))

	body := `{"meta": {"event_name": "order_created", "custom_data": {"fp_tid": "b1a2"}}, "data": {
		"type": "orders", "id": "1", "attributes": {"status": "paid", "currency": "EUR", "total": 2420, "tax": 420,
		"user_email": "ada@example.com", "first_order_item": {"variant_id": 77, "quantity": 1}}}}`
	r := httptest.NewRequest(http.MethodPost, "/webhooks/lemonsqueezy", strings.NewReader(body))
	sign(r.Header, []byte(body), secret) // the provider does this
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)

	forged := httptest.NewRequest(http.MethodPost, "/webhooks/lemonsqueezy", strings.NewReader(body))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, forged)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"order:1","email":"ada@example.com","amount":2000,"currency":"eur","quantity":1,"plan":"77","tid":"b1a2"}
	// 200
	// 401
}

func ExampleProvider() {
	events, err := lemonsqueezy.Provider().Events([]byte(`{"meta": {"event_name": "order_created", "custom_data": {"fp_tid": "b1a2"}}, "data": {
		"type": "orders", "id": "1", "attributes": {"status": "paid", "currency": "EUR", "total": 2420, "tax": 420,
		"user_email": "ada@example.com", "first_order_item": {"variant_id": 77, "quantity": 1}}}}`))
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.Amount, sale.Currency, sale.TID)
	}
	// Output:
	// order:1 2000 EUR b1a2
}
