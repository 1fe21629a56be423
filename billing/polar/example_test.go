package polar_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/polar"
)

// The endpoint of the provider's webhooks. In Gin: router.POST("/webhooks/polar", gin.WrapH(polar.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "polar_whs_example"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/polar", polar.Handler(tracker, secret))

	body := `{"type": "order.paid", "data": {"id": "8f4a2c1e-0000-4000-8000-000000000001",
		"net_amount": 2000, "tax_amount": 420, "total_amount": 2420, "due_amount": 2420, "currency": "eur",
		"customer": {"email": "ada@example.com"}, "metadata": {"fp_tid": "b1a2"}}}`
	r := httptest.NewRequest(http.MethodPost, "/webhooks/polar", strings.NewReader(body))
	sign(r.Header, []byte(body), secret) // the provider does this
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)

	forged := httptest.NewRequest(http.MethodPost, "/webhooks/polar", strings.NewReader(body))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, forged)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"8f4a2c1e-0000-4000-8000-000000000001","email":"ada@example.com","amount":2000,"currency":"eur","tid":"b1a2"}
	// 200
	// 401
}

func ExampleProvider() {
	events, err := polar.Provider().Events([]byte(`{"type": "order.paid", "data": {"id": "8f4a2c1e-0000-4000-8000-000000000001",
		"net_amount": 2000, "tax_amount": 420, "total_amount": 2420, "due_amount": 2420, "currency": "eur",
		"customer": {"email": "ada@example.com"}, "metadata": {"fp_tid": "b1a2"}}}`))
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.Amount, sale.Currency, sale.TID)
	}
	// Output:
	// 8f4a2c1e-0000-4000-8000-000000000001 2000 eur b1a2
}
