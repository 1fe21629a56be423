// Package stripe turns Stripe's webhooks into FirstPromoter events.
//
// A Stripe account that is connected inside FirstPromoter must not be tracked here as well: every sale would count twice.
//
//	subscribe to                                event         amount (before taxes)                                  event id
//	invoice.paid or invoice.payment_succeeded   sale          amount_paid × total_excluding_tax / total              invoice in_…
//	checkout.session.completed and              sale          amount_total − total_details.amount_tax                payment_intent pi_…,
//	  .async_payment_succeeded, mode=payment                                                                         else session cs_…
//	the same, with an invoice                   sign-up       (only with fp_tid or fp_ref)
//	refund.created, refund.updated              refund        amount, less the tax that billing.WithPayment knows    refund re_…
//	charge.dispute.created, .funds_withdrawn    refund        likewise                                               dispute du_…
//	customer.subscription.deleted               cancellation
//
// Why: one payment is announced by up to six events. Each kind of payment is therefore taken from one family, and its id
// is that of the invoice or payment, not that of the event: invoice.paid and invoice.payment_succeeded are one sale, and
// invoice_payment.paid, charge.succeeded and payment_intent.succeeded are skipped in favour of the events above. A Checkout
// session of mode=subscription, or one that has or makes an invoice, is paid by that invoice. Since API version 2025-03-31 (basil) a charge does not even say whether
// it belongs to an invoice. Payloads of both kinds of version are read, since an endpoint keeps the version it was made with.
//
//	field           read from
//	email           metadata fp_email; customer_email (invoice); customer_details.email, customer_email (session);
//	                billing_details.email, receipt_email (charge); evidence.customer_email_address (dispute); else
//	                billing.WithCustomer, asked with cus_…, and billing.WithPayment, asked with pi_… or ch_…
//	uid             metadata fp_uid; client_reference_id of a session with WithClientReferenceUID
//	tid, ref_id     metadata fp_tid and fp_ref of the invoice, its subscription (parent.subscription_details, before
//	                basil subscription_details), its lines, the session, the charge; client_reference_id of a session
//	                with WithClientReferenceTID; else billing.WithCustomer, asked with cus_…
//	plan, quantity  metadata fp_plan; else of the first line with a positive amount: pricing.price_details.price
//	                (basil), price.id, plan.id
//	tax             total − total_excluding_tax; else the sum of total_taxes (basil) or total_tax_amounts; else tax
//
// # Where to put fp_tid
//
// Stripe does not copy a session's metadata to other objects: put Attribution.Metadata() where the sale will carry it.
//
//	Checkout, mode=subscription     subscription_data.metadata
//	Checkout, mode=payment          metadata, and payment_intent_data.metadata for the refunds
//	Checkout, invoice_creation      invoice_creation.invoice_data.metadata
//	Subscriptions, Invoices API     metadata of the subscription or the invoice
//	payment links, pricing tables   client_reference_id, and WithClientReferenceTID
//	metadata of the customer        billing.WithCustomer, which reads it from Stripe's API
//
// FirstPromoter's instructions put fp_tid into the session's own metadata, also for subscriptions. That session becomes a
// sign-up, as in FirstPromoter's own connection, and the sale of the invoice belongs to it by its e-mail address. Stripe
// does not promise to send the session first, and a sale that comes before its sign-up earns no commission: so put it
// into subscription_data.metadata as well, or use a durable queue and WithOutbox, which sends such a sale again.
//
// # Connect
//
// A Connect endpoint gets the events of connected accounts, with the account's id in account. All are taken;
// WithAccounts takes those of some accounts only.
//
// # Refunds, disputes and cancellations name no customer
//
// Stripe's refund and subscription objects carry no e-mail address. Put fp_uid (or fp_email) into the metadata of the
// subscription and of the refund, or give billing.WithCustomer (new versions of refunds have a customer id) or
// billing.WithPayment; without any of them the event is skipped with reason no-customer and a warning. A refund's amount
// includes tax, and nothing in the payload says how much: billing.WithPayment gives the totals and the sale's event id.
// Without it the gross amount is taken back, and the sale is not named unless it can be derived: from a charge of
// an API version before basil, which names its invoice, or with WithPaymentIntents.
//
// WithChargeRefunded reads charge.refunded instead of refund.*: it has the address of the payer. Its amount_refunded is
// cumulative, so that the part that is new is taken: from the embedded list of refunds (API versions before 2022-11-15),
// else against previous_attributes. A payload with neither (fetched by API, or cut) fails (422).
//
// A dispute is a refund, as in FirstPromoter's own connection; billing.WithoutDisputes leaves disputes alone. Inquiries
// (status warning_…) move no money and are skipped. If a dispute is won, or a
// refund fails after it succeeded, the sale is not reported again.
//
// # Amounts
//
// Stripe's minor units: 0 digits for BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF, 3 for BHD JOD KWD OMR TND, 2
// for the others, among them ISK and UGX, which Stripe keeps at 2 though they have none. What FirstPromoter expects of
// three-decimal currencies is not documented: hundredths are sent (billing.WithExponents). Shipping is part of the
// amount. A payment outside of Stripe counts if amount_paid includes it.
//
// Not verified: from which API version on an endpoint gets refund.created: where it never comes, use
// WithChargeRefunded. charge.refund.updated is read like refund.updated.
package stripe
