// Package lemonsqueezy turns Lemon Squeezy's webhooks into FirstPromoter events.
//
//	subscribe to                     event         amount (before taxes)                  event id
//	order_created, status paid       sale          total − tax                            order:<id>
//	subscription_payment_success,    sale          total − tax                            subinv:<id>
//	  subscription_payment_recovered
//	order_refunded,                  refund        refunded_amount × (total − tax) /      order:<id> or subinv:<id>, as the
//	  subscription_payment_refunded                total                                    sale; see below
//	subscription_expired             cancellation
//
// Why: Lemon Squeezy reports the first payment of a subscription twice: as an order, and as a subscription invoice with
// billing_reason initial. Neither names the other. The sale is taken from the order, which also has the variant. The initial invoice
// and its refund are skipped; order_refunded reports that refund. The prefixes are needed because orders and invoices may have the
// same number. subscription_cancelled only starts the grace period; subscription_expired is the end. total − tax is right for prices
// with and without tax. An order that is already refunded or partial_refund (also spelled partial_refunded) is still a sale, because
// the refund has its own event. An order that has failed or is fraudulent is not. Lemon Squeezy lists no event for the payment of an order
// that is pending: it is skipped with reason by-hand and a warning.
//
//	field           read from
//	email           custom_data fp_email; user_email
//	uid             meta.custom_data fp_uid (checkout[custom][fp_uid] in a link, checkout_data.custom in the API)
//	tid, ref_id     meta.custom_data fp_tid, fp_ref
//	plan, quantity  meta.custom_data fp_plan; first_order_item.variant_id and .quantity (an invoice has neither)
//
// # Refunds
//
// refunded_amount is the sum of all refunds of an order. A webhook does not say which part is new. So by default each order or
// invoice has one refund, whose event id is that of the order; a second partial refund is logged as a conflict (fprom.ErrConflict)
// and not sent. (FirstPromoter keeps the ids of sales and refunds apart. Another id would take back again what an older release has
// taken back, if Lemon Squeezy sends that webhook again.) With WithOutbox every refund is sent: the ledger of the durable queue
// contains the earlier refunds, and only the new part is taken, as "order:<id>", "order:<id>:2" and so on. (Of refunds that arrive in
// the same instant the Tracker logs and counts a conflict. The later ones then get the next ids, and the handler logs that the conflict
// needs nobody.) Without a durable queue use billing.WithPayment, asked with "order:<id>" or "subinv:<id>": return the earlier refunds in
// Refunded. Each refund then has the event id "order:<id>:<sum>". A payload without refunded_amount (an older one) counts as refunded in full.
//
// The handler answers exactly 200, as Lemon Squeezy requires; after any other status Lemon Squeezy tries three more times.
//
// Not verified with a published payload: that the first charge after a trial has billing_reason renewal (the invoice at the start
// of a trial is initial, with total 0), that order_refunded is sent for the refund of a first payment (public applications rely on it;
// some say that both events come), that refunded_amount includes tax, and that amounts of currencies without cents are in the minor
// units of ISO 4217.
package lemonsqueezy
