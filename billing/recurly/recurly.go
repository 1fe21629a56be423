package recurly

import (
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider describes Recurly for billing.Handler. It checks basic authentication: the secret is "user:password".
func Provider() billing.Provider {
	return billing.Provider{Name: "recurly", Header: "Authorization", Verify: billing.BasicAuth, Decode: decode, Convert: convert}
}

// Handler returns the webhook endpoint. It checks the signature (401 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; Recurly then sends
// the webhook again. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
