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
// Why: the first payment of a subscription is announced by checkout.completed and by subscription.paid, under different
// ids. It is taken from subscription.paid, like all later ones; subscription.active adds nothing. The order's and
// the transaction's amount is before tax, after discounts; amount_paid is what the customer paid, and tax_amount the tax in
// it. subscription.scheduled_cancel only asks for the end of the period, and an expired subscription may still be paid.
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
// Creem's published example of subscription.paid has no last_transaction. Then the amount is what billing.WithPayment, asked with
// last_transaction_id, knows (Total − Tax); else the price of the product, which is right without a discount, and before tax only
// for products whose tax_mode is exclusive.
//
// The header creem-signature is the HMAC-SHA256 of the body, in hexadecimal; there is no time stamp. Payloads whose mode is
// not prod are skipped (billing.WithTestMode).
//
// Sources: docs.creem.io/code/webhooks and the types of Creem's webhook package. Not verified against a recorded payload:
// which of order, last_transaction and their amounts are always there, and that a dispute which is won is not announced.
package creem
