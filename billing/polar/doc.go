// Package polar turns Polar's webhooks into FirstPromoter events.
//
//	subscribe to                     event         amount (before taxes)                       event id
//	order.paid                       sale          net_amount, less its share of the balance   order
//	refund.created, refund.updated   refund        amount (without tax_amount), of             refund; names the sale: order_id
//	                                                 status=succeeded
//	subscription.revoked             cancellation
//
// Why: order.paid is sent when the money has arrived, for one-time, first and recurring payments. order.created is sent earlier;
// order.updated and order.refunded repeat the order. The customer has paid total_amount + applied_balance_amount (in older payloads
// from_balance_amount), which is negative if the customer's balance pays a part. The share before taxes is net_amount / total_amount.
// due_amount is not read: in some paid orders it is 0, in others the amount that was due. A refund's amount never includes tax. If the
// balance paid a part of the order, it is less than what the sale was: give billing.WithPayment the order's total_amount and tax_amount.
// subscription.canceled only requests a cancellation at the end of the period; subscription.revoked is the end.
// A refund that fails or is canceled is skipped with reason by-hand and a warning. A dispute that Polar prevents is a refund. Polar has
// no webhook about a dispute that is lost: take that commission back by hand.
//
//	field           read from
//	email           metadata fp_email; customer.email; refunds: billing.WithCustomer, asked with customer_id, and
//	                billing.WithPayment, asked with the order's id
//	uid             metadata fp_uid; customer.external_id
//	tid, ref_id     metadata fp_tid and fp_ref of the order, its subscription, its customer, and its checkout
//	plan, quantity  metadata fp_plan; product_id, product.id; seats, units
//	promo_code      metadata fp_promo_code; discount.code
//
// Put Attribution.Metadata() and fp_uid into the metadata of the checkout (Polar copies it to the order and the
// subscription) or of the customer. Refunds contain only an id of the customer: give billing.WithCustomer or billing.WithPayment, or
// put fp_uid into the refund's metadata. Without all of these the refund is skipped with reason no-customer and a warning.
//
// Polar collects an order below the smallest possible charge together with the next order. Both are reported, which is at most some
// cents too much.
//
// The signature is that of Standard Webhooks. The key is the text of the secret, not decoded from base64, as in Polar's SDKs.
// Payloads do not say whether they are from the sandbox, which has its own secrets. After ten events in a row that fail in all tries,
// Polar switches the webhook off and skips the events that wait: switch it on again, and deliver them again in Polar's dashboard.
//
// The minor units are those of Stripe, as in Polar's server: 0 digits for MGA, 2 for ISK and UGX, unlike ISO 4217.
package polar
