// Package dodo turns Dodo Payments' webhooks into FirstPromoter events.
//
//	subscribe to                              event         amount (before taxes)                     event id
//	payment.succeeded                         sale          total_amount − tax                        payment pay_…
//	refund.succeeded                          refund        amount, less the tax that                 refund ref_…; names the sale:
//	                                                          billing.WithPayment knows                 payment pay_…
//	dispute.lost, dispute.accepted            refund        what billing.WithPayment says was paid    dispute dp_…, likewise
//	subscription.cancelled, .expired          cancellation
//
// Why: every charge is a payment, whether one-time, first or recurring (a recurring one has subscription_id).
// subscription.active and subscription.renewed repeat a charge and are skipped. total_amount is what the customer paid, with tax, in
// the customer's currency. settlement_amount is what Dodo Payments pays out and is not read. A subscription that is on hold or has
// failed may continue.
//
//	field           read from data.…
//	email           metadata fp_email; customer.email; else billing.WithCustomer, asked with customer.customer_id, and
//	                billing.WithPayment, asked with pay_…
//	uid, tid,       metadata fp_uid, fp_tid, fp_ref of the payment, the subscription or the refund, and of the customer
//	ref_id
//	plan, quantity  metadata fp_plan; else of one-time payments product_cart[0].product_id and .quantity
//
// Put Attribution.Metadata() and fp_uid into the metadata of the checkout session, the payment or the subscription.
//
// The signature is that of Standard Webhooks; the secret is base64, with or without whsec_. Test mode has its own webhooks
// and secrets. Of its payloads only payments with a payment_link say so; these are skipped (billing.WithTestMode).
//
// A dispute names no customer, and its amount is a text. The documentation does not say in which unit; samples of Dodo Payments' command
// line use the smallest one. So the whole payment is taken back, as billing.WithPayment knows it, less the earlier refunds in its Refunded;
// without that option a dispute is skipped with reason by-hand and a warning. So is dispute.expired, because it only usually ends
// against the merchant. A refund of an older API version has no customer: use billing.WithPayment.
//
// With a payment connector of your own (Stripe, Adyen), Dodo Payments reports its payments too. Give the connector's webhooks no second
// handler, such as stripe.Handler: its event ids are others, and every sale would count twice.
//
// Sources: docs.dodopayments.com/developer-resources/webhooks and Dodo Payments' Go SDK, in which a refund includes tax unless it is made
// with tax_inclusive false, and amounts are in the currency's smallest unit (fils for KWD). A dispute that Visa's Rapid Dispute
// Resolution settles comes as dispute.lost with is_resolved_by_rdr (…/webhooks/intents/dispute). Not verified with a recorded payload:
// that it has no refund.succeeded as well, and what the amount of a refund with tax_inclusive false is.
package dodo
