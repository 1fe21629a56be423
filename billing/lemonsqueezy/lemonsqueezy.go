package lemonsqueezy

import (
	"encoding/hex"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider is Lemon Squeezy, for billing.Handler. The header X-Signature is checked with the signing secret of the
// webhook. The scheme has no time stamp.
func Provider() billing.Provider {
	const header = "X-Signature"
	return billing.Provider{Name: "lemonsqueezy", Header: header, Verify: billing.HMACSHA256(header, hex.DecodeString), Convert: convert}
}

// Handler is the webhook endpoint: it verifies (401 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Lemon Squeezy sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
