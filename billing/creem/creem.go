package creem

import (
	"encoding/hex"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider describes Creem for billing.Handler. It checks the header creem-signature with the secret of the webhook. The signature
// has no time stamp.
func Provider() billing.Provider {
	const header = "Creem-Signature"
	return billing.Provider{Name: "creem", Header: header, Verify: billing.HMACSHA256(header, hex.DecodeString), Convert: convert}
}

// Handler returns the webhook endpoint. It checks the signature (401 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; Creem then sends
// the webhook again. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
