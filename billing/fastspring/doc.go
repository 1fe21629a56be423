// Package fastspring turns FastSpring's webhooks into FirstPromoter events.
//
//	subscribe to                    event         amount (before taxes)         event id
//	order.completed                 sale          total − tax                   order
//	subscription.charge.completed   sale          total − tax of the order      order
//	return.created                  refund        totalReturn − tax             return; names the sale: the original order
//	chargeback.created              refund        chargebackAmount, less the    order:chargeback; names the sale: the order
//	                                                tax that WithPayment knows
//	subscription.deactivated        cancellation
//
// Why: every charge has its own order. order.completed reports one-time purchases and the first charge of a subscription;
// subscription.charge.completed reports later charges. subscription.activated repeats the first charge and is skipped. total is what
// the customer paid, with tax, in the order's currency. The fields …InPayoutCurrency are FastSpring's payout and are not read.
// subscription.canceled only requests a cancellation at the end of the period; subscription.deactivated is the end.
//
// If a fulfillment fails, such as a list without licenses, FastSpring sends no order.completed for the paid order. Subscribe to
// fulfillment.failed: it contains no amount, and is skipped with reason by-hand and a warning.
//
// return.created does not report chargebacks. chargeback.created names neither the customer nor the tax: give billing.WithPayment, asked
// with the order's id. Without it a chargeback is skipped with reason no-customer and a warning. No event is documented for a chargeback that
// is won: enter a sale by hand. A return that is not completed is skipped with reason by-hand and a warning.
//
// Switch "Enable Webhook Expansion" on (Developer Tools, Webhooks, Configuration). Without it a later charge contains neither its tax
// nor its customer, and fails (422).
//
//	field           read from events[].data.…
//	email           tags fp_email; customer.email, account.contact.email; else billing.WithCustomer, asked with the
//	                account's id, and billing.WithPayment, asked with the original order's id
//	uid, tid,       tags fp_uid, fp_tid, fp_ref of the order, of its subscription, or of the item
//	ref_id
//	plan, quantity  tags fp_plan; product and quantity of the first item
//	promo_code      tags fp_promo_code; coupon of the first item
//
// Put Attribution.Metadata() and fp_uid into the tags of the session (orderTags, or tags in the Store Builder Library).
//
// One body holds several events. If one of them cannot be read, the body is answered 422, and the others are accepted. When
// FastSpring sends the body again, they are recognized by their event ids. FastSpring documents no limit for the size of a body. One that
// is larger than 1 MiB is answered 413 and logged; FastSpring keeps its events for 30 days: send each of them again from its Webhook Log.
//
// The header X-FS-Signature is the HMAC-SHA256 of the body in base64; there is no time stamp. The secret is the "HMAC SHA256
// Secret" of the webhook. Test orders have live false, and are skipped (billing.WithTestMode).
//
// Sources: developer.fastspring.com (orders, subscription charges, returns, webhook expansion) and webhooks that
// others recorded. Not verified: that orders of later charges repeat the tags of the first order, that totalReturn and
// chargebackAmount include tax, and that chargeback.created comes once for a chargeback.
package fastspring
