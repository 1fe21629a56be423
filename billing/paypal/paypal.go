package paypal

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Option is an option of Provider.
type Option func(*settings)

type settings struct{ certificates *certStore }

// Provider is PayPal with options of its own, for billing.Handler. PayPal has no signing secret: the secret is the id of
// the webhook in PayPal's dashboard. The check may fetch a certificate; if that fails, its error does not wrap
// billing.ErrSignature.
func Provider(opts ...Option) billing.Provider {
	s := settings{certificates: defaultCertificates}
	for _, o := range opts {
		o(&s)
	}
	return billing.Provider{
		Name: "paypal", Refused: http.StatusBadRequest, Header: "Paypal-Transmission-Sig", Verify: s.verify, Convert: convert,
		Tolerance: 4 * 24 * time.Hour, // PayPal tries for 3 days
	}
}

// Handler is the webhook endpoint: it verifies (400 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted or the certificate not be fetched, 422 if a signed payload cannot be read, so that PayPal
// sends it again, up to 25 times in 3 days. A nil *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, webhookID string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), webhookID, opts...)
}

// maxCustomID is the length of a custom_id in PayPal's API definition.
const maxCustomID = 127

// CustomID makes the custom_id of an order or a subscription out of metadata, such as
// fprom.AttributionFrom(r).Metadata() with fp_uid, fp_total and fp_tax added. The error says that it is too long for
// PayPal; leave the least important entry out.
func CustomID(metadata map[string]string) (string, error) {
	q := make(url.Values, len(metadata))
	for name, value := range metadata {
		if value != "" {
			q.Set(name, value)
		}
	}
	s := q.Encode()
	if len(s) > maxCustomID {
		return "", fmt.Errorf("fprom: paypal: the custom_id has %d characters, PayPal takes %d: leave an entry out", len(s), maxCustomID)
	}
	return s, nil
}
