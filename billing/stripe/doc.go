// Package stripe turns Stripe's webhooks into FirstPromoter events.
//
// Do not use it for a Stripe account that is connected inside FirstPromoter: every sale would count twice.
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
// Why: up to six events report one payment. So each kind of payment is taken from the events above, and the event id is that of the
// invoice or the payment: invoice.paid and invoice.payment_succeeded are one sale. invoice_payment.paid, charge.succeeded and
// payment_intent.succeeded are skipped. If a Checkout session has mode=subscription, or has or creates an invoice, that invoice
// reports the payment. Since API version 2025-03-31 (basil) a charge does not say whether it belongs to an invoice. Payloads of older
// and newer versions are read, because an endpoint keeps the version it was created with. A thin event (v1.invoice.paid) contains no
// amounts and fails (422): choose the payload style snapshot for the event destination.
//
// An invoice that is paid in parts is one sale, once all of it is paid. If it is given up before (invoice.voided or
// invoice.marked_uncollectible with an amount_paid), that is a warning (reason by-hand). So is money that is given back outside of Stripe
// (credit_note.created with an out_of_band_amount). Credit for the customer's balance is no refund: a later invoice is paid less. A
// refund of a part is reported at once, also before the sale. If you give all parts back, report their sale by hand, too.
//
// With capture_method=manual a Checkout session is completed unpaid, and no session follows when you capture the payment. Such payments
// need WithPaymentIntents, and fp_tid and fp_uid in payment_intent_data.metadata.
//
//	field           read from
//	email           metadata fp_email; customer_email (invoice); customer_details.email, customer_email (session);
//	                billing_details.email, receipt_email (charge); evidence.customer_email_address (dispute); else
//	                billing.WithCustomer, asked with cus_… (acct_… for a customer_account of Accounts v2), and
//	                billing.WithPayment, asked with pi_… or ch_…
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
// Stripe does not copy a session's metadata to other objects. Put Attribution.Metadata() where the sale's event contains it:
//
//	Checkout, mode=subscription     subscription_data.metadata
//	Checkout, mode=payment          metadata, and payment_intent_data.metadata for the refunds
//	Checkout, invoice_creation      invoice_creation.invoice_data.metadata
//	Subscriptions, Invoices API     metadata of the subscription or the invoice
//	payment links, pricing tables   client_reference_id, and WithClientReferenceTID
//	metadata of the customer        billing.WithCustomer, which reads it from Stripe's API
//
// FirstPromoter's instructions put fp_tid into the session's own metadata, also for subscriptions. Such a session becomes a sign-up,
// as in FirstPromoter's own connection, and the invoice's sale belongs to it by the e-mail address. Stripe does not promise to send
// the session first, and a sale before its sign-up earns no commission. So put fp_tid into subscription_data.metadata as well, or use
// a durable queue and WithOutbox, which sends such a sale again.
//
// # Connect
//
// A Connect endpoint gets the events of all connected accounts, with the id of the account in the field account. An endpoint of an
// organization gets the events of its accounts, with the id in the field context. By default all are taken; WithAccounts selects accounts.
//
// # Refunds, disputes and cancellations name no customer
//
// Stripe's refund and subscription objects contain no e-mail address. Put fp_uid (or fp_email) into the metadata of the subscription
// and of the refund, or give billing.WithCustomer (refunds of new versions contain a customer id) or billing.WithPayment. Without all
// of these the event is skipped with reason no-customer and a warning. A refund's amount includes tax, and the payload does not say
// how much: billing.WithPayment gives the totals and the event id of the sale. Without it the gross amount is taken back, and the
// sale is named only if the charge names its invoice (API versions before basil), or with WithPaymentIntents. A refund that names no
// sale is taken back from another sale of its customer if its own payment is none here, such as a charge at a till: give
// billing.WithPayment, and return the payment intent's id as the SaleEventID of such a payment. Then nothing is taken back.
//
// WithChargeRefunded reads charge.refunded instead of refund.*: it contains the payer's address. Its amount_refunded is cumulative.
// The new part is taken from the embedded list of refunds (API versions before 2022-11-15), or else computed with
// previous_attributes. A payload without both (fetched by API, or cut) fails (422).
//
// Stripe also makes a refund when an authorization ends that was never captured. There is no sale to take back, so it is skipped if its
// reason is expired_uncaptured_charge, or if the charge is in the payload and not captured. If you cancel authorizations yourself, or
// capture only a part (Stripe makes a refund of the rest), use WithChargeRefunded: the refund of refund.created does not say what was
// captured. A refund without a charge and a payment intent gives back cash balance of the customer, such as what a bank transfer paid
// too much. No sale took it, so it is skipped.
//
// A dispute is a refund, as in FirstPromoter's own connection, unless billing.WithoutDisputes is given. Inquiries (status warning_…)
// move no money and are skipped. A prevented dispute is a refund once money is withdrawn (balance_transactions, or funds_withdrawn): a
// dispute that was blocked takes nothing. If a dispute is won, or a refund fails after it succeeded, the sale is not reported again. Subscribe to
// charge.dispute.closed and refund.failed, with WithChargeRefunded also to refund.updated, which reports one that is canceled: then each
// of them is a warning (reason by-hand).
//
// # Amounts
//
// Stripe's minor units: 0 digits for BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF, 3 for BHD JOD KWD OMR TND, 2
// for the others, including ISK and UGX, for which Stripe uses 2 although they have none. FirstPromoter does not document
// three-decimal currencies: hundredths are sent (billing.WithExponents). Shipping is part of the amount. An invoice that was
// paid outside of Stripe counts if amount_paid includes it, as it does since API version 2025-03-31 (basil). If amount_paid is 0 and
// amount_due is not, it is skipped with reason by-hand and a warning.
//
// Stripe sends refund.created for every refund since API version 2024-10-28 and only for refunds without a charge before. If your endpoint
// has an older version, use WithChargeRefunded. charge.refund.updated is read like refund.updated. Not verified: whether Stripe also sends
// a refund for a prevented dispute, and which events it sends for a part of an invoice that is paid (Stripe says only that
// invoice_payment.paid comes for each part).
package stripe
