package paddle_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/paddle"
)

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/paddle", gin.WrapH(paddle.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "pdl_ntfset_example"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/paddle", paddle.Handler(tracker, secret))

	body := `{"event_id": "evt_1", "event_type": "transaction.completed", "data": {
		"id": "txn_1", "status": "completed", "currency_code": "EUR", "custom_data": {"fp_tid": "b1a2", "fp_uid": "user-1"},
		"details": {"totals": {"total": "2420", "tax": "420", "grand_total": "2420", "grand_total_tax": "420"}}}}`
	r := httptest.NewRequest(http.MethodPost, "/webhooks/paddle", strings.NewReader(body))
	sign(r.Header, []byte(body), secret) // the provider does this
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)

	forged := httptest.NewRequest(http.MethodPost, "/webhooks/paddle", strings.NewReader(body))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, forged)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"txn_1","uid":"user-1","amount":2000,"currency":"eur","tid":"b1a2"}
	// 200
	// 401
}

func ExampleProvider() {
	events, err := paddle.Provider().Events([]byte(`{"event_id": "evt_1", "event_type": "transaction.completed", "data": {
		"id": "txn_1", "status": "completed", "currency_code": "EUR", "custom_data": {"fp_tid": "b1a2", "fp_uid": "user-1"},
		"details": {"totals": {"total": "2420", "tax": "420", "grand_total": "2420", "grand_total_tax": "420"}}}}`))
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.Amount, sale.Currency, sale.TID)
	}
	// Output:
	// txn_1 2000 EUR b1a2
}
