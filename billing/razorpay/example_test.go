package razorpay_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/razorpay"
)

const orderPaid = `{
	"event": "order.paid",
	"payload": {
		"payment": {"entity": {"id": "pay_FpDoc000000001", "amount": 118000, "currency": "INR", "status": "captured",
			"captured": true, "email": "asha@example.com", "notes": [], "fee": 2832, "tax": 432}},
		"order": {"entity": {"id": "order_FpDoc0000001", "amount": 118000, "notes": {"fp_tid": "tid-1", "fp_tax": "18000"}}}
	}
}`

// The endpoint of the webhook. In Gin: router.POST("/webhooks/razorpay", gin.WrapH(razorpay.Handler(tracker, secret))).
func ExampleHandler() {
	tracker := billingtest.Printer(os.Stdout) // in production a *fprom.Tracker
	const secret = "the webhook's secret"
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/razorpay", razorpay.Handler(tracker, secret))

	r := httptest.NewRequest(http.MethodPost, "/webhooks/razorpay", strings.NewReader(orderPaid))
	sign(r.Header, []byte(orderPaid), secret) // Razorpay does this
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)

	forged := httptest.NewRequest(http.MethodPost, "/webhooks/razorpay", strings.NewReader(orderPaid))
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, forged)
	fmt.Println(w.Code)
	// Output:
	// POST /sale {"event_id":"pay_FpDoc000000001","email":"asha@example.com","amount":100000,"currency":"inr","tid":"tid-1"}
	// 200
	// 400
}

func ExampleProvider() {
	events, err := razorpay.Provider().Events([]byte(orderPaid))
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.Amount, sale.Currency, sale.TID)
	}
	// Output: pay_FpDoc000000001 100000 INR tid-1
}

func ExampleProvider_explain() {
	fmt.Println(razorpay.Provider().Explain([]byte(`{
		"event": "payment.captured",
		"payload": {"payment": {"entity": {"id": "pay_FpDoc000000002", "invoice_id": "inv_FpDoc000000001", "status": "captured"}}}
	}`)))
	// Output:
	// razorpay payment.captured pay_FpDoc000000002
	//   nothing tracked (other-event): the payment has an invoice: subscription.charged or invoice.paid reports it (or see WithPaymentCaptured)
}
