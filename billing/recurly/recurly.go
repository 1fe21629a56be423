package recurly

import (
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Provider is Recurly, for billing.Handler. The endpoint's basic authentication is checked: the secret is "user:password".
func Provider() billing.Provider {
	return billing.Provider{Name: "recurly", Header: "Authorization", Verify: billing.BasicAuth, Decode: decode, Convert: convert}
}

// Handler is the webhook endpoint: it verifies (401 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Recurly sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
