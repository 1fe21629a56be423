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

// WithOutbox looks up in the ledger of the durable queue what was given back before, so that every partial refund of an
// order is reported. See the package documentation.
func WithOutbox(l billing.Ledger) Option { return func(s *settings) { s.ledger = l } }

// Provider is Lemon Squeezy with options of its own, for billing.Handler. The header X-Signature is checked with the signing
// secret of the webhook. The scheme has no time stamp.
func Provider(opts ...Option) billing.Provider {
	var s settings
	for _, o := range opts {
		o(&s)
	}
	const header = "X-Signature"
	return billing.Provider{Name: "lemonsqueezy", Header: header, Verify: billing.HMACSHA256(header, hex.DecodeString), Convert: s.convert}
}

// Handler is the webhook endpoint: it verifies (401 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Lemon Squeezy sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
