package paddle

import (
	"context"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

// Option is a billing.Option: those of package billing.
type Option = convert.Option

var provider = convert.Provider{Name: "paddle", Refused: http.StatusUnauthorized, Header: "Paddle-Signature", Verify: verify, Convert: convertPayload}

// Verify checks the header Paddle-Signature of a request with that body, which must be as it was received. secret is
// the secret of the notification destination (pdl_ntfset_…). The time stamp may be 5 minutes off (billing.WithTolerance). The error wraps
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
// an event could not be accepted, 422 if a signed payload cannot be read, so that Paddle sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...Option) http.Handler {
	return provider.Handler(t, secret, opts)
}

var signature = convert.Stamped{Header: "Paddle-Signature", Separator: ";", Stamp: "ts", Signature: "h1", Joint: ":"}

func verify(_ context.Context, h http.Header, body []byte, c *convert.Config) error {
	return signature.Verify(h, body, c)
}
