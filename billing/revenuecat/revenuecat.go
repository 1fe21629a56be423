package revenuecat

import (
	"net/http"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Option is an option of Provider.
type Option func(*settings)

type settings struct{ commission, signature bool }

// WithCommission also subtracts the store's commission: price × (1 − tax_percentage − commission_percentage).
func WithCommission() Option { return func(s *settings) { s.commission = true } }

// WithSignature checks X-RevenueCat-Webhook-Signature in place of Authorization; the secret is the webhook's signing
// secret.
func WithSignature() Option { return func(s *settings) { s.signature = true } }

// Provider is RevenueCat with options of its own, for billing.Handler. The header Authorization must be the secret, or with
// WithSignature X-RevenueCat-Webhook-Signature must be right for the body.
func Provider(opts ...Option) billing.Provider {
	var s settings
	for _, o := range opts {
		o(&s)
	}
	v := billing.Provider{
		Name: "revenuecat", Header: "Authorization", Verify: billing.SharedSecret("Authorization"), Convert: s.convert,
		Tolerance: 3 * time.Hour, // longer than all retries
	}
	if s.signature {
		v.Header, v.Verify = signature.Header, signature.Verify
	}
	return v
}

// signature is what WithSignature checks.
var signature = billing.Stamped{Header: "X-RevenueCat-Webhook-Signature", Separator: ",", Stamp: "t", Signature: "v1", Joint: "."}

// Handler is the webhook endpoint: it verifies (401 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that RevenueCat sends it again, up to 5 times. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
