package whop

import (
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider is Whop, for billing.Handler. The headers webhook-id, webhook-timestamp and webhook-signature are checked with the
// secret of the webhook. The time stamp may be 5 minutes off (billing.WithTolerance).
func Provider() billing.Provider {
	return billing.Provider{Name: "whop", Header: "Webhook-Signature", Verify: billing.StandardWebhooksText, Convert: convert}
}

// Handler is the webhook endpoint: it verifies (401 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Whop sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
