package stripe

import (
	"net/http"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Option is an option of Provider.
type Option func(*settings)

type settings struct {
	useChargeRefunded, usePaymentIntents bool
	referenceTID, referenceUID           bool
	accounts                             []string // nil: all
	ledger                               billing.Ledger
}

// WithClientReferenceTID says that the client_reference_id of a Checkout session is the visitor's tracking id, as
// FirstPromoter's instructions for payment links and pricing tables have it.
func WithClientReferenceTID() Option { return func(s *settings) { s.referenceTID = true } }

// WithClientReferenceUID says that the client_reference_id of a Checkout session is the customer's id in the application, as
// at sign-up.
func WithClientReferenceUID() Option { return func(s *settings) { s.referenceUID = true } }

// WithOutbox mends a sale that came before its sign-up: where a Checkout session brings the tracking id, and the ledger of the
// durable queue says that the sale of its invoice was no referral, the sale is sent again, with the tracking id, under the
// id of the invoice and ":attributed". While that sale has no answer yet the session is answered 503, so that Stripe
// sends it again later.
func WithOutbox(l billing.Ledger) Option { return func(s *settings) { s.ledger = l } }

// WithAccounts takes only the events of these accounts, for endpoints of Stripe Connect: "acct_…" is a connected
// account, the empty string the platform itself. Without it the events of all accounts are taken.
func WithAccounts(ids ...string) Option {
	return func(s *settings) { s.accounts = ids }
}

// WithChargeRefunded takes refunds from charge.refunded, and skips refund.created and refund.updated. See the package
// documentation.
func WithChargeRefunded() Option { return func(s *settings) { s.useChargeRefunded = true } }

// WithPaymentIntents takes payment_intent.succeeded as a sale of amount_received − amount_details.tax.total_tax_amount,
// and the payment intent as the sale that a refund names. Only for accounts without invoices: the payment of an
// invoice is a payment intent too, and would count twice. A Checkout session of the same payment is the same sale.
func WithPaymentIntents() Option { return func(s *settings) { s.usePaymentIntents = true } }

// Provider is Stripe with options of its own, for billing.Handler. The header Stripe-Signature is checked with the
// endpoint's signing secret (whsec_…). Its time stamp may be 5 minutes off (billing.WithTolerance).
func Provider(opts ...Option) billing.Provider {
	var s settings
	for _, o := range opts {
		o(&s)
	}
	return billing.Provider{
		Name: "stripe", Refused: http.StatusBadRequest, Header: signature.Header, SecretPrefix: "whsec_",
		Verify: signature.Verify, Convert: s.convert,
	}
}

var signature = billing.Stamped{Header: "Stripe-Signature", Separator: ",", Stamp: "t", Signature: "v1", Joint: "."}

// Handler is the webhook endpoint: it verifies (400 if the signature is wrong), converts, enqueues, and answers 200; 503 if
// an event could not be accepted, 422 if a signed payload cannot be read, so that Stripe sends it again. A nil
// *fprom.Tracker drops the events. In Gin: gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
