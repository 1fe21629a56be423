package paddle

import (
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider describes Paddle Billing for billing.Handler. It checks the header Paddle-Signature with the secret of the notification
// destination (pdl_ntfset_…). The time stamp may be 5 minutes off (billing.WithTolerance).
func Provider() billing.Provider {
	return billing.Provider{Name: "paddle", Header: signature.Header, Verify: signature.Verify, Convert: convert}
}

var signature = billing.Stamped{Header: "Paddle-Signature", Separator: ";", Stamp: "ts", Signature: "h1", Joint: ":"}

// Handler returns the webhook endpoint. It checks the signature (401 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; Paddle then sends
// the webhook again. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
