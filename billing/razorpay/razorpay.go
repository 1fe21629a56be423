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

// WithPaymentCaptured takes every payment from payment.captured, also those of subscriptions and invoices, and skips
// order.paid, invoice.paid and subscription.charged. Plans, quantities, the taxes of invoices and the notes of
// subscriptions are then not known.
func WithPaymentCaptured() Option { return func(s *settings) { s.paymentCaptured = true } }

// Provider is Razorpay with options of its own, for billing.Handler. The header X-Razorpay-Signature is checked with the
// webhook's secret, which is not the API key's. The scheme has no time stamp.
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

// Handler is the webhook endpoint: it verifies (400 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Razorpay sends it again for 24 hours. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
