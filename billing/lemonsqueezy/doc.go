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
// Why: the first payment of a subscription is announced twice, as an order and as a subscription invoice with
// billing_reason initial, and neither names the other. It is taken from the order, which also knows the variant; the
// initial invoice is skipped, and so is its refund (order_refunded tells it). The numbers of orders and
// invoices overlap, hence the prefixes. subscription_cancelled only starts the grace period; subscription_expired
// is the end. total − tax holds for prices with and without tax. A status refunded or partial_refund (or
// partial_refunded, as Lemon Squeezy's package for Laravel spells it) at the sale counts as paid, since the refund has
// its own event; pending, failed and fraudulent ones do not.
//
//	field           read from
//	email           custom_data fp_email; user_email
//	uid             meta.custom_data fp_uid (checkout[custom][fp_uid] in a link, checkout_data.custom in the API)
//	tid, ref_id     meta.custom_data fp_tid, fp_ref
//	plan, quantity  meta.custom_data fp_plan; first_order_item.variant_id and .quantity (an invoice has neither)
//
// # Refunds
//
// refunded_amount is the sum of all refunds of an order. A webhook does not tell which part of it is new, so that by
// default each order or invoice has one refund: its event id is that of the order, and a second partial refund is
// reported as a conflict (fprom.ErrConflict, logged), not sent. WithOutbox mends that: the ledger of a durable queue knows
// what was given back before, and each refund is sent with what is new, as "order:<id>", "order:<id>:2" and so on. Without
// such a queue, billing.WithPayment does, asked with "order:<id>" or "subinv:<id>": its Refunded says how much was given back
// before, and each refund is sent under the id "order:<id>:<sum>". Payloads from before refunded_amount existed count as refunded in full.
//
// The handler answers exactly 200, as Lemon Squeezy wants; on anything else it tries three more times.
//
// Not verified against a published payload: that the first charge after a trial has billing_reason renewal (the invoice
// at the start of a trial is initial, over zero), that the refund of a first payment sends order_refunded, that
// refunded_amount includes tax, and that amounts of currencies without cents are in the minor units of ISO 4217.
package lemonsqueezy
