package lemonsqueezy

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

// Option is a billing.Option: those of package billing.
type Option = convert.Option

var provider = convert.Provider{Name: "lemonsqueezy", Refused: http.StatusUnauthorized, Header: "X-Signature", Verify: verify, Convert: convertPayload}

// Verify checks the header X-Signature of a request with that body, which must be as it was received. secret is
// the signing secret of the webhook. The scheme has no time stamp. The error wraps
// billing.ErrSignature.
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

// Handler is the webhook endpoint: it verifies (401 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Lemon Squeezy sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...Option) http.Handler {
	return provider.Handler(t, secret, opts)
}

// verify: X-Signature: <hex>; HMAC-SHA256 over the body.
func verify(_ context.Context, h http.Header, body []byte, c *convert.Config) error {
	signature, err := hex.DecodeString(strings.TrimSpace(h.Get("X-Signature")))
	if err != nil || !convert.MatchHMAC(c.SecretKeys(), [][]byte{signature}, body) {
		return fmt.Errorf("header X-Signature: %w", convert.ErrSignature)
	}
	return nil
}
