package razorpay

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

// Option is a billing.Option: those of package billing, and WithPaymentCaptured.
type Option = convert.Option

const optPaymentCaptured = "razorpay.payment.captured"

// WithPaymentCaptured takes every payment from payment.captured, also those of subscriptions and invoices, and skips
// order.paid, invoice.paid and subscription.charged. Plans, quantities, the taxes of invoices and the notes of
// subscriptions are then not known.
func WithPaymentCaptured() Option { return convert.WithExtra(optPaymentCaptured) }

var provider = convert.Provider{Name: "razorpay", Refused: http.StatusBadRequest, Header: "X-Razorpay-Signature", Verify: verify, Convert: convertPayload}

// Verify checks the header X-Razorpay-Signature of a request with that body, which must be as it was received. secret is
// the webhook's secret, not the API key's. The error wraps billing.ErrSignature.
func Verify(h http.Header, body []byte, secret string, opts ...Option) error {
	return provider.Check(h, body, secret, opts)
}

// Events converts the payload of a webhook whose signature was checked. It returns no event and no error for what is not
// money; Explain says why. The error is a *fprom.ValidationError if the payload cannot be read, else that of an option's lookup.
func Events(payload []byte, opts ...Option) ([]fprom.Event, error) {
	return provider.Events(payload, opts)
}

// Explain converts like Events, and tells which field each value came from, or why nothing is tracked.
func Explain(payload []byte, opts ...Option) convert.Explanation {
	return provider.Explain(payload, opts)
}

// Handler is the webhook endpoint: it verifies (400 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Razorpay sends it again for 24 hours. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...Option) http.Handler {
	return provider.Handler(t, secret, opts)
}

// verify: X-Razorpay-Signature: <hex>; HMAC-SHA256 over the body.
func verify(_ context.Context, h http.Header, body []byte, c *convert.Config) error {
	signature, err := hex.DecodeString(strings.TrimSpace(h.Get("X-Razorpay-Signature")))
	if err != nil || !convert.MatchHMAC(c.SecretKeys(), [][]byte{signature}, body) {
		return fmt.Errorf("header X-Razorpay-Signature: %w", convert.ErrSignature)
	}
	return nil
}
