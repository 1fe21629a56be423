package revenuecat

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

// Option is a billing.Option: those of package billing, and those below.
type Option = convert.Option

const (
	optCommission = "revenuecat.commission"
	optSignature  = "revenuecat.signature"
)

// WithCommission also subtracts the store's commission: price × (1 − tax_percentage − commission_percentage).
func WithCommission() Option { return convert.WithExtra(optCommission) }

// WithSignature checks X-RevenueCat-Webhook-Signature in place of Authorization; the secret is the webhook's signing
// secret.
func WithSignature() Option { return convert.WithExtra(optSignature) }

var provider = convert.Provider{
	Name: "revenuecat", Refused: http.StatusUnauthorized, Verify: verify, Convert: convertPayload,
	Tolerance: 3 * time.Hour, // longer than all retries
}

// Verify checks that the header Authorization is secret, or with WithSignature that X-RevenueCat-Webhook-Signature is right
// for that body, which must be as it was received. The error wraps billing.ErrSignature.
func Verify(h http.Header, body []byte, secret string, opts ...Option) error {
	return provider.Check(h, body, secret, opts)
}

// Events converts the payload of a webhook that was verified. It returns no event and no error for what is not money;
// Explain says why. The error is a *fprom.ValidationError if the payload cannot be read, else that of an option's lookup.
func Events(payload []byte, opts ...Option) ([]fprom.Event, error) {
	return provider.Events(payload, opts)
}

// Explain converts like Events, and tells which field each value came from, or why nothing is tracked.
func Explain(payload []byte, opts ...Option) convert.Explanation {
	return provider.Explain(payload, opts)
}

// Handler is the webhook endpoint: it verifies (401 if the secret or the signature is wrong), converts, enqueues, and
// answers 200; 503 if an event could not be accepted, 422 if a payload cannot be read, so that RevenueCat sends it again, up to 5
// times. A nil *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...Option) http.Handler {
	return provider.Handler(t, secret, opts)
}

// signature is what WithSignature checks.
var signature = convert.Stamped{Header: "X-RevenueCat-Webhook-Signature", Separator: ",", Stamp: "t", Signature: "v1", Joint: "."}

func verify(_ context.Context, h http.Header, body []byte, c *convert.Config) error {
	if c.Set(optSignature) {
		return signature.Verify(h, body, c)
	}
	got := sha256.Sum256([]byte(h.Get("Authorization"))) // of one length, so that the comparison tells nothing
	ok := 0
	for _, secret := range c.Secrets {
		want := sha256.Sum256([]byte(secret))
		ok |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	if ok != 1 {
		return fmt.Errorf("header Authorization: %w", convert.ErrSignature)
	}
	return nil
}
