package fastspring

import (
	"encoding/base64"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider describes FastSpring for billing.Handler. It checks the header X-FS-Signature with the HMAC SHA256 secret of the webhook.
// The signature has no time stamp.
func Provider() billing.Provider {
	const header = "X-Fs-Signature"
	return billing.Provider{
		Name: "fastspring", Batch: "events", Header: header,
		Verify: billing.HMACSHA256(header, base64.StdEncoding.DecodeString), Convert: convert,
	}
}

// Handler returns the webhook endpoint. It checks the signature (401 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; FastSpring then sends
// the webhook again. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
