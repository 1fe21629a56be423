// Package recurly turns Recurly's webhooks into FirstPromoter events. Do not use it for a site that is connected inside
// FirstPromoter: every sale would count twice.
//
// Recurly's feature Credit Invoices must be enabled, as it is for every site since May 2018: without it there are no charge invoices.
// Choose the format XML for the webhook endpoint. Recurly's JSON webhooks contain only ids, no amounts and no customers, and fail
// (422).
//
//	subscribe to                           event         amount (before taxes)               event id
//	paid_charge_invoice_notification       sale          total_in_cents − tax_in_cents       invoice uuid
//	new_credit_invoice_notification,       refund        likewise, without its sign, of      credit invoice uuid
//	  closed_credit_invoice_notification                   state closed
//	expired_subscription_notification      cancellation
//
// Why: an invoice contains its tax, a payment does not. successful_payment_notification and successful_refund_notification report the
// same money again and are skipped. canceled_subscription_notification only requests a cancellation at the end of the period.
//
// A charge invoice is reported in full, also if credit pays it: the webhook does not say how it was paid. So a credit invoice is a refund
// once it is closed, because then its money was given back or has paid other invoices. Until then an invoice that the credit of a
// downgrade or a gift card has paid earns too much. A credit invoice of origin write_off is skipped: its invoice was never paid.
// Where Recurly manages chargebacks, a lost one is a credit invoice, too; elsewhere no webhook reports it.
// An invoice that is opened again (reopened_charge_invoice_notification, reopened_credit_invoice_notification) is skipped with reason
// by-hand and a warning: its payment may have gone back, or its credit may come back because the invoice that it paid has failed.
//
//	field           read from
//	email           account.email; else billing.WithCustomer, asked with the account code
//	uid             the account code, only where there is no e-mail address
//	tid, ref_id     billing.WithCustomer: Recurly's webhooks carry no metadata
//
// So send the tracking id another way: report a Signup with the address of the account when the customer registers, or give
// billing.WithCustomer, which may read your database or a custom field of the account. A refund does not name its sale.
//
// Recurly does not sign XML. Protect the endpoint with basic authentication: the secret is "user:password". Only payloads about
// payments say whether they are from the sandbox, which has its own endpoints.
//
// Sources: docs.recurly.com (charge invoice and credit invoice notifications) and public fixtures of its XML. Not verified with a
// recorded payload: that a credit invoice that is used up or given back has the state closed, that a written-off invoice is never
// paid, and that the minor units are those of ISO 4217. An invoice paid by hand counts like one paid by card.
package recurly
