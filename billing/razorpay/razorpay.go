package razorpay

import (
	"encoding/hex"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Option is an option of Provider.
type Option func(*settings)

type settings struct{ paymentCaptured bool }

// WithPaymentCaptured takes every payment from payment.captured, including payments of subscriptions and invoices. It skips
// order.paid, invoice.paid and subscription.charged. Then plans, quantities, taxes of invoices and notes of subscriptions are unknown.
func WithPaymentCaptured() Option { return func(s *settings) { s.paymentCaptured = true } }

// Provider describes Razorpay for billing.Handler. It checks the header X-Razorpay-Signature with the webhook's secret, which is not
// the secret of the API key. The signature has no time stamp.
func Provider(opts ...Option) billing.Provider {
	var s settings
	for _, o := range opts {
		o(&s)
	}
	const header = "X-Razorpay-Signature"
	return billing.Provider{
		Name: "razorpay", Refused: http.StatusBadRequest, Header: header,
		Verify: billing.HMACSHA256(header, hex.DecodeString), Convert: s.convert,
	}
}

// Handler returns the webhook endpoint. It checks the signature (400 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; Razorpay then sends
// the webhook again for 24 hours. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
