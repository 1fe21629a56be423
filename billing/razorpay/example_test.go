package razorpay_test

import (
	"fmt"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/razorpay"
)

func ExampleHandler() {
	var tracker *fprom.Tracker // fprom.New(fprom.Config{…}); nil drops the events, for development without credentials
	http.Handle("POST /webhooks/razorpay", razorpay.Handler(tracker, "the webhook's secret"))
}

func ExampleEvents() {
	payload := []byte(`{
		"event": "order.paid",
		"payload": {
			"payment": {"entity": {"id": "pay_FpDoc000000001", "amount": 118000, "currency": "INR", "status": "captured",
				"captured": true, "email": "asha@example.com", "notes": [], "fee": 2832, "tax": 432}},
			"order": {"entity": {"id": "order_FpDoc0000001", "amount": 118000, "notes": {"fp_tid": "tid-1", "fp_tax": "18000"}}}
		}
	}`)
	events, err := razorpay.Events(payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events {
		sale := e.(fprom.Sale)
		fmt.Println(sale.EventID, sale.Amount, sale.Currency, sale.TID)
	}
	// Output: pay_FpDoc000000001 100000 INR tid-1
}

func ExampleExplain() {
	fmt.Println(razorpay.Explain([]byte(`{
		"event": "payment.captured",
		"payload": {"payment": {"entity": {"id": "pay_FpDoc000000002", "invoice_id": "inv_FpDoc000000001", "status": "captured"}}}
	}`)))
	// Output:
	// razorpay payment.captured -
	//   nothing tracked (other-event): the payment has an invoice: subscription.charged or invoice.paid reports it (or see WithPaymentCaptured)
}
