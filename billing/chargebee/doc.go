// Package chargebee turns Chargebee's webhooks into FirstPromoter events. Do not use it for a site that is connected inside
// FirstPromoter: every sale would count twice.
//
//	subscribe to              event         amount (before taxes)                                event id
//	payment_succeeded         sale          transaction.amount × (total − tax) / total           transaction txn_…
//	                                          of the invoice
//	payment_refunded          refund        likewise, of the refund's transaction                transaction txn_…; names the sale
//	payment_failed            refund        likewise, of status=late_failure                     transaction:late_failure, likewise
//	subscription_cancelled,   cancellation
//	  subscription_canceled_with_backdating
//
// Why: an invoice may be paid by several payments, and each payment has its own transaction. payment_initiated and refund_initiated
// come before the money moves (direct debit). invoice_updated and invoice_generated repeat a payment. Credits are not payments.
// A chargeback is a refund whose payment_method is chargeback (see billing.WithoutDisputes). A transaction of type payment_reversal is
// skipped with reason by-hand and a warning. So are a payment that is deleted (transaction_deleted), and a payment in an app store
// (omnichannel_transaction_created), whose webhook names neither the customer nor the tax. subscription_cancellation_scheduled only
// requests a cancellation at the end of the term.
//
//	field           read from content.…
//	email           meta_data fp_email; customer.email; else billing.WithCustomer, asked with the customer's id, and
//	                billing.WithPayment, asked with the id of the refunded transaction
//	uid, tid,       meta_data fp_uid, fp_tid, fp_ref of the subscription or the customer, or their custom fields
//	ref_id          cf_fp_uid, cf_fp_tid, cf_fp_ref; uid: else the customer's id, only where there is no e-mail address
//	plan, quantity  meta_data fp_plan; the subscription's first item_price_id, in Product Catalog 1.0 plan_id; its quantity
//	promo_code      meta_data fp_promo_code; coupon of the subscription
//
// Put Attribution.Metadata() and fp_uid into meta_data of the customer or the subscription (an API parameter), or make custom
// fields of these names and fill them at the hosted checkout.
//
// Chargebee does not sign webhooks. Protect the webhook with basic authentication (Settings, Configure Chargebee, Webhooks): the
// secret is "user:password". Payloads do not say whether they are from a test site. Give the webhooks of test sites other passwords.
//
// A webhook contains one invoice at most. If a payment pays several invoices (transaction.linked_invoices), the share of tax of that one is
// taken for all.
//
// Sources: apidocs.chargebee.com and Chargebee's Go and Node SDKs. Not verified with a recorded payload: that content always holds the
// invoice (without it the gross amount is taken), that refunds hold the paid invoice, that the minor units are those of ISO 4217
// (Chargebee says so of currencies without decimals), and that payment_failed reports a payment, such as a direct debit, that fails
// after it has succeeded.
package chargebee
