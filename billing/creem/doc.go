// Package creem turns Creem's webhooks into FirstPromoter events.
//
//	subscribe to                            event         amount (before taxes)                          event id
//	checkout.completed, of a one-time       sale          amount_paid − tax_amount of the order          order ord_…
//	  order
//	subscription.paid                       sale          amount_paid − tax_amount of last_transaction   transaction tran_…
//	refund.created, status=succeeded        refund        refund_amount, less its share of the tax       refund ref_…; names the sale
//	dispute.created                         refund        amount, likewise                               dispute disp_…, likewise
//	subscription.canceled                   cancellation
//
// Why: checkout.completed and subscription.paid both report the first payment of a subscription, with different ids. It is taken
// from subscription.paid, like all later payments; subscription.active adds nothing. amount_paid of an order or a transaction is
// what the customer paid, and tax_amount is the tax in it. amount may be before a discount, and is read only without amount_paid.
// subscription.scheduled_cancel only requests a cancellation at the end of the period. An expired subscription may still be paid.
// An order or a refund that is pending is skipped with reason by-hand and a warning: Creem lists no event for its end. If a trial
// has a price, subscribe to subscription.trialing: its last_transaction is a sale if its status is paid. If there is none, that
// is a warning, or a sign-up with billing.WithTrialSignups. credits.auto_recharged is a warning, too, because it does not contain
// what was paid.
//
//	field           read from object.…
//	email           metadata fp_email; customer.email; else billing.WithCustomer, asked with cust_…, and
//	                billing.WithPayment, asked with the id of the sale
//	uid, tid,       metadata fp_uid, fp_tid, fp_ref of the checkout or the subscription
//	ref_id
//	plan, quantity  metadata fp_plan; product.id; units
//	sale_event_id   transaction.id of a subscription's payment, else transaction.order
//
// Put Attribution.Metadata() and fp_uid into the metadata of the checkout: Creem repeats it in the subscription.
//
// # Amounts of subscriptions
//
// Creem's published example of subscription.paid has no last_transaction. Then the amount is Total − Tax of billing.WithPayment,
// asked with last_transaction_id. Without that option it is the price of the product, times its units. The price is right if there
// is no discount and the tax_mode of the product is exclusive.
//
// The header creem-signature is the HMAC-SHA256 of the body, in hexadecimal; there is no time stamp. Payloads whose mode is
// not prod are skipped (billing.WithTestMode). Creem's SDK takes signatures of Standard Webhooks, too. No published webhook has one, and
// this package refuses it.
//
// Sources: docs.creem.io/code/webhooks, and the types and the recorded test webhooks of Creem's packages. Not verified: which of order,
// last_transaction and their amounts are always there, which events report the price of a trial and the charge for credits, that Creem
// sends no event for a dispute that is won, and that a chargeback is not reported as a refund as well: in Creem's example of
// dispute.created it is in the transaction's refunded_amount already.
package creem
