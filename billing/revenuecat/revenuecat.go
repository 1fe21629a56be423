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

// WithSignature checks the header X-RevenueCat-Webhook-Signature instead of Authorization. The secret is the webhook's signing
// secret.
func WithSignature() Option { return func(s *settings) { s.signature = true } }

// Provider describes RevenueCat for billing.Handler. The header Authorization must equal the secret. With WithSignature the header
// X-RevenueCat-Webhook-Signature must sign the body instead.
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

// signature is the check of WithSignature.
var signature = billing.Stamped{Header: "X-RevenueCat-Webhook-Signature", Separator: ",", Stamp: "t", Signature: "v1", Joint: "."}

// Handler returns the webhook endpoint. It checks the signature (401 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; RevenueCat then sends
// the webhook again, up to 5 times. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
