package stripe

import (
	"context"
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

// Option is a billing.Option: those of package billing, and those below.
type Option = convert.Option

const (
	optChargeRefunded = "stripe.charge.refunded"
	optPaymentIntents = "stripe.payment_intent"
	optReferenceTID   = "stripe.client_reference_id.tid"
	optReferenceUID   = "stripe.client_reference_id.uid"
	optAccounts       = "stripe.accounts"
)

// WithClientReferenceTID says that the client_reference_id of a Checkout session is the visitor's tracking id, as
// FirstPromoter's instructions for payment links and pricing tables have it.
func WithClientReferenceTID() Option { return convert.WithExtra(optReferenceTID) }

// WithClientReferenceUID says that the client_reference_id of a Checkout session is the customer's id in the application, as
// at sign-up.
func WithClientReferenceUID() Option { return convert.WithExtra(optReferenceUID) }

// WithAccounts takes only the events of these accounts, for endpoints of Stripe Connect: "acct_…" is a connected
// account, the empty string the platform itself. Without it the events of all accounts are taken.
func WithAccounts(ids ...string) Option {
	return func(c *convert.Config) { c.Extra[optAccounts] = ids }
}

// WithChargeRefunded takes refunds from charge.refunded, and skips refund.created and refund.updated. See the package
// documentation.
func WithChargeRefunded() Option { return convert.WithExtra(optChargeRefunded) }

// WithPaymentIntents takes payment_intent.succeeded as a sale of amount_received − amount_details.tax.total_tax_amount,
// and the payment intent as the sale that a refund names. Only for accounts without invoices: the payment of an
// invoice is a payment intent too, and would count twice. A Checkout session of the same payment is the same sale.
func WithPaymentIntents() Option { return convert.WithExtra(optPaymentIntents) }

var provider = convert.Provider{Name: "stripe", Refused: http.StatusBadRequest, Header: "Stripe-Signature", SecretPrefix: "whsec_", Verify: verify, Convert: convertPayload}

// Verify checks the header Stripe-Signature of a request with that body, which must be as it was received. secret is the
// endpoint's signing secret (whsec_…). The time stamp may be 5 minutes off (billing.WithTolerance). The error wraps
// billing.ErrSignature.
func Verify(h http.Header, body []byte, secret string, opts ...Option) error {
	return provider.Check(h, body, secret, opts)
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
// an event could not be accepted, 422 if a signed payload cannot be read, so that Stripe sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...Option) http.Handler {
	return provider.Handler(t, secret, opts)
}

var signature = convert.Stamped{Header: "Stripe-Signature", Separator: ",", Stamp: "t", Signature: "v1", Joint: "."}

func verify(_ context.Context, h http.Header, body []byte, c *convert.Config) error {
	return signature.Verify(h, body, c)
}
