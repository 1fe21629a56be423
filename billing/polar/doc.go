// Package polar turns Polar's webhooks into FirstPromoter events.
//
//	subscribe to                     event         amount (before taxes)                       event id
//	order.paid                       sale          net_amount, less its share of the balance   order
//	refund.created, refund.updated   refund        amount (without tax_amount), of             refund; names the sale: order_id
//	                                                 status=succeeded
//	subscription.revoked             cancellation
//
// Why: order.paid comes when the money has arrived, for first, one-time and recurring payments alike; order.created
// comes before, and order.updated and order.refunded repeat it (refunded_amount there is a sum). What was paid is
// total_amount + applied_balance_amount (negative where the customer's balance pays a part; older payloads name it
// from_balance_amount), and net_amount / total_amount of that is before taxes. due_amount is not read: it is 0 in some paid
// orders, and what was due in others. A refund's amount never includes tax. subscription.canceled only asks for the end of the period; subscription.revoked is the end.
//
//	field           read from
//	email           metadata fp_email; customer.email; refunds: billing.WithCustomer, asked with customer_id, and
//	                billing.WithPayment, asked with the order's id
//	uid             metadata fp_uid; customer.external_id
//	tid, ref_id     metadata fp_tid and fp_ref of the order, its subscription, its customer, and its checkout
//	plan, quantity  metadata fp_plan; product_id, product.id; seats
//
// Put Attribution.Metadata() and fp_uid into the metadata of the checkout (Polar copies it to the order and the
// subscription) or of the customer. Refunds name the customer by an id only: give billing.WithCustomer or billing.WithPayment, or put fp_uid into the
// refund's metadata; without any of them the refund is skipped with reason no-customer and a warning.
//
// An order under the smallest amount that a currency can be charged with is collected with the next one; both count, which
// is at most some cents too much.
//
// The signature is that of Standard Webhooks, keyed with the secret as it is (not decoded from base64), as Polar's SDKs do it.
// Payloads do not say whether they come from the sandbox, which has its own secrets.
//
// Not verified against a published payload: that the minor units are those of ISO 4217 for every currency.
package polar
