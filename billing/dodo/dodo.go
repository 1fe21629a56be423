package dodo

import (
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider describes Dodo Payments for billing.Handler. It checks the headers webhook-id, webhook-timestamp and webhook-signature with
// the secret of the webhook. The time stamp may be 5 minutes off (billing.WithTolerance).
func Provider() billing.Provider {
	return billing.Provider{Name: "dodo", Header: "Webhook-Signature", Verify: billing.StandardWebhooks, Convert: convert}
}

// Handler returns the webhook endpoint. It checks the signature (401 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; Dodo Payments then sends
// the webhook again. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
