package paddle

import (
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider is Paddle Billing, for billing.Handler. The header Paddle-Signature is checked with the secret of the
// notification destination (pdl_ntfset_…). Its time stamp may be 5 minutes off (billing.WithTolerance).
func Provider() billing.Provider {
	return billing.Provider{Name: "paddle", Header: signature.Header, Verify: signature.Verify, Convert: convert}
}

var signature = billing.Stamped{Header: "Paddle-Signature", Separator: ";", Stamp: "ts", Signature: "h1", Joint: ":"}

// Handler is the webhook endpoint: it verifies (401 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Paddle sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
