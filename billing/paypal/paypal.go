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

// Provider describes PayPal for billing.Handler. PayPal has no signing secret: give the id of the webhook in PayPal's dashboard as
// the secret. The check may fetch a certificate. If that fails, its error does not wrap billing.ErrSignature.
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

// Handler returns the webhook endpoint. It checks the signature (400 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted or PayPal's certificate could not be fetched, and 422 if a signed
// payload cannot be read; PayPal then sends the webhook again, up to 25 times in 3 days. With a nil *fprom.Tracker the events are
// dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, webhookID string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), webhookID, opts...)
}

// maxCustomID is the longest custom_id that PayPal's API takes.
const maxCustomID = 127

// CustomID makes the custom_id of an order or a subscription from metadata, such as fprom.AttributionFrom(r).Metadata() with fp_uid,
// fp_total and fp_tax added. It returns an error if the result is too long for PayPal; then leave out the least important entry. If the
// metadata has no value the result is empty: send no custom_id then, because PayPal refuses an empty one.
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
