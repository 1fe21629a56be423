// Package recurly turns Recurly's webhooks into FirstPromoter events, for sites that are not connected inside FirstPromoter:
// one that is connected there must not be tracked here as well, or every sale would count twice.
//
// Choose the format XML for the webhook endpoint: Recurly's JSON webhooks hold ids only, no amounts and no customers, and fail
// (422).
//
//	subscribe to                           event         amount (before taxes)               event id
//	paid_charge_invoice_notification       sale          total_in_cents − tax_in_cents       invoice uuid
//	new_credit_invoice_notification,       refund        likewise, without its sign, of      credit invoice uuid
//	  closed_credit_invoice_notification                   origin refund and state closed
//	expired_subscription_notification      cancellation
//
// Why: an invoice has its tax beside its total, a payment has not: successful_payment_notification and
// successful_refund_notification announce the same money again, and are skipped. Credit invoices of other origins (write_off, gift_card,
// immediate_change) give no money back. canceled_subscription_notification only asks for the end of the period.
//
//	field           read from
//	email           account.email; else billing.WithCustomer, asked with the account code
//	uid             the account code, only where there is no e-mail address
//	tid, ref_id     billing.WithCustomer: Recurly's webhooks carry no metadata
//
// So the tracking id has to reach FirstPromoter another way: report a Signup with the address of the account when the
// customer registers, or give billing.WithCustomer, which looks up what your application or a custom field of the account
// knows. A refund does not name its sale.
//
// Recurly signs no XML. Protect the endpoint with basic authentication: the secret is "user:password". The sandbox has
// endpoints of its own; its payloads do not say where they come from, but for payments.
//
// Sources: docs.recurly.com (charge invoice and credit invoice notifications) and public fixtures of its XML. Not verified
// against a recorded payload: that origin and state of a refund's credit invoice are refund and closed. An invoice that was
// paid by credit, or by hand, counts like one paid by card: the webhook does not say how it was paid.
package recurly
