package paypal

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

// Option is a billing.Option: those of package billing, and WithCertificates.
type Option = convert.Option

var provider = convert.Provider{
	Name: "paypal", Refused: http.StatusBadRequest, Header: "Paypal-Transmission-Sig", Verify: verify, Convert: convertPayload,
	Tolerance: 4 * 24 * time.Hour, // PayPal tries for 3 days
}

// Verify checks the signature of a request with that body, which must be as it was received. webhookID is the id of the
// webhook in PayPal's dashboard. It may fetch a certificate. The error wraps billing.ErrSignature, unless the certificate
// could not be fetched.
func Verify(h http.Header, body []byte, webhookID string, opts ...Option) error {
	return provider.Check(h, body, webhookID, opts)
}

// Events converts the payload of a webhook whose signature was checked. It returns no event and no error for what is not
// money; Explain says why. The error is a *fprom.ValidationError if the payload cannot be read, else that of an option's lookup.
func Events(payload []byte, opts ...Option) ([]fprom.Event, error) {
	return provider.Events(payload, opts)
}

// Explain converts like Events, and tells which field each value came from, or why nothing is tracked.
func Explain(payload []byte, opts ...Option) convert.Explanation {
	return provider.Explain(payload, opts)
}

// Handler is the webhook endpoint: it verifies (400 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted or the certificate not be fetched, 422 if a signed payload cannot be read, so that PayPal
// sends it again, up to 25 times in 3 days. A nil *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, webhookID string, opts ...Option) http.Handler {
	return provider.Handler(t, webhookID, opts)
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
		return "", fmt.Errorf("billing/paypal: the custom_id has %d characters, PayPal takes %d: leave an entry out", len(s), maxCustomID)
	}
	return s, nil
}
