package lemonsqueezy

import (
	"encoding/hex"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Option is an option of Provider.
type Option func(*settings)

type settings struct{ ledger billing.Ledger }

// WithOutbox finds earlier refunds in the ledger of the durable queue, so that every partial refund of an order is reported. See
// the package documentation.
func WithOutbox(l billing.Ledger) Option { return func(s *settings) { s.ledger = l } }

// Provider describes Lemon Squeezy for billing.Handler. It checks the header X-Signature with the signing secret of the webhook. The
// signature has no time stamp.
func Provider(opts ...Option) billing.Provider {
	var s settings
	for _, o := range opts {
		o(&s)
	}
	const header = "X-Signature"
	return billing.Provider{Name: "lemonsqueezy", Header: header, Verify: billing.HMACSHA256(header, hex.DecodeString), Convert: s.convert}
}

// Handler returns the webhook endpoint. It checks the signature (401 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; Lemon Squeezy then sends
// the webhook again. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
