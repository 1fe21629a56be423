// Package fastspring turns FastSpring's webhooks into FirstPromoter events.
//
//	subscribe to                    event         amount (before taxes)         event id
//	order.completed                 sale          total − tax                   order
//	subscription.charge.completed   sale          total − tax of the order      order
//	return.created                  refund        totalReturn − tax             return; names the sale: the original order
//	subscription.deactivated        cancellation
//
// Why: every charge has an order of its own. order.completed comes for the first charge of a subscription and for what
// is bought once, subscription.charge.completed for the later ones; subscription.activated announces the first charge
// again, and is skipped. total is what the customer paid, with tax, in the order's currency; the fields …InPayoutCurrency are what
// FastSpring accounts for, and are not read. subscription.canceled only asks for the end of the period;
// subscription.deactivated is the end.
//
// Switch "Enable Webhook Expansion" on (Developer Tools, Webhooks, Configuration): without it a later charge says neither its
// tax nor its customer, and fails (422).
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
// One body holds several events. If one of them cannot be read the body is answered 422, and the others are accepted all the
// same; when FastSpring sends it again they are recognized by their event ids.
//
// The header X-FS-Signature is the HMAC-SHA256 of the body in base64; there is no time stamp. The secret is the "HMAC SHA256
// Secret" of the webhook. Test orders have live false, and are skipped (billing.WithTestMode).
//
// Sources: developer.fastspring.com (orders, subscription charges, returns, webhook expansion) and webhooks that
// others recorded. Not verified: that the tags of an order are repeated in the orders of later charges, that totalReturn
// includes tax, and whether a chargeback is announced by return.created.
package fastspring
