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

// WithClientReferenceTID takes the client_reference_id of a Checkout session as the visitor's tracking id. FirstPromoter's
// instructions for payment links and pricing tables put it there.
func WithClientReferenceTID() Option { return func(s *settings) { s.referenceTID = true } }

// WithClientReferenceUID takes the client_reference_id of a Checkout session as the customer's uid, the same as at sign-up.
func WithClientReferenceUID() Option { return func(s *settings) { s.referenceUID = true } }

// WithOutbox repairs a sale that was sent before its sign-up. A Checkout session may bring the tracking id when the ledger of the
// durable queue shows that the sale of its invoice was no referral. Then the sale is sent again with the tracking id; its event id is
// the invoice id with ":attributed". It has no quantity, and a plan only if the session's metadata has fp_plan: the ledger knows
// neither. If the sale has no answer yet, the sign-up is stored, the session is answered 503, and Stripe sends it again later. A refund
// that names the invoice names that sale, also before it is sent: the refund counts if the session comes within an hour
// (fprom.RetryConfig). Only a refund that comes before the first answer to the sale does not count, which in an outage of FirstPromoter
// may take hours. With riverqueue a sale can be missed that is stored in the same milliseconds as the sign-up: put fp_tid into
// subscription_data.metadata, where no order matters.
func WithOutbox(l billing.Ledger) Option { return func(s *settings) { s.ledger = l } }

// WithAccounts takes only events of these accounts. It is for endpoints of Stripe Connect and of organizations: "acct_…" is a connected
// account or an account of the organization, the empty string is the platform itself and every account of the organization. By default
// the events of all accounts are taken.
func WithAccounts(ids ...string) Option {
	return func(s *settings) { s.accounts = ids }
}

// WithChargeRefunded takes refunds from charge.refunded and skips refund.created and refund.updated. See the package documentation.
func WithChargeRefunded() Option { return func(s *settings) { s.useChargeRefunded = true } }

// WithPaymentIntents takes payment_intent.succeeded as a sale of amount_received − amount_details.tax.total_tax_amount, and refunds
// name the payment intent as their sale. Use it only without invoices: the payment of an invoice is a payment intent, too. It is
// skipped if it names the invoice, but not every API version does. A Checkout session of the same payment is the same sale; only the
// session knows the tax of Stripe Tax, so do not subscribe to both if you collect tax: the one that comes first counts. If you capture
// a part, give its tax in the amount_details of the capture; otherwise the tax of the whole payment may be subtracted. The webhook does
// not contain the tax of single line items: without a total_tax_amount the gross amount is taken.
func WithPaymentIntents() Option { return func(s *settings) { s.usePaymentIntents = true } }

// Provider describes Stripe for billing.Handler. It checks the header Stripe-Signature with the signing secret of the endpoint
// (whsec_…). The time stamp may be 5 minutes off (billing.WithTolerance).
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

// Handler returns the webhook endpoint. It checks the signature (400 if it is wrong), converts the payload, enqueues the events and
// answers 200. It answers 503 if an event was not accepted, and 422 if a signed payload cannot be read; Stripe then sends
// the webhook again. With a nil *fprom.Tracker the events are dropped. In Gin use gin.WrapH.
func Handler(t fprom.Enqueuer, secret string, opts ...billing.Option) http.Handler {
	return billing.Handler(t, Provider(), secret, opts...)
}
