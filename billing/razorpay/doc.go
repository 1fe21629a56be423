// Package razorpay turns Razorpay's webhooks into FirstPromoter events.
//
//	subscribe to                                 event         amount (before taxes)                              event id
//	subscription.charged                         sale          payment.amount, less the tax in notes              payment pay_…
//	order.paid and payment.captured,             sale          likewise                                           payment pay_…
//	  for payments without an invoice
//	invoice.paid, invoice.partially_paid         sale          payment.amount × (amount − tax_amount) / amount    payment pay_…
//	                                                           of the invoice
//	refund.processed                             refund        refund.amount, less its share of the tax           refund rfnd_…
//	payment.dispute.lost                         refund        dispute.amount_deducted, likewise                  dispute disp_…
//	subscription.cancelled, .completed, .halted  cancellation
//
// Why: one payment of a subscription is announced by four events, payment.captured, order.paid, invoice.paid and
// subscription.charged. Only the last has the plan and the notes of the subscription. The event id is therefore that of
// the payment, the same in all of them; and a payment that has an invoice is taken from subscription.charged (where the
// invoice is a subscription's) or from invoice.paid alone, so that it does not depend on the order of delivery which
// plan, notes and tax a sale has. WithPaymentCaptured takes it from payment.captured instead, for accounts that subscribe to
// nothing else. A payment without an invoice is the same sale in order.paid and payment.captured. Subscribe to
// both: only order.paid has the notes of the order, and the payments of QR codes and virtual accounts have no order and come
// as payment.captured alone.
//
//	field           read from (payload.….entity)
//	email           notes fp_email; payment.email; invoice.customer_details.email; else billing.WithCustomer, asked with
//	                cust_…, and billing.WithPayment, asked with pay_…
//	uid, tid,       notes fp_uid, fp_tid, fp_ref of the payment, the order, the invoice, the subscription: the first of
//	ref_id          them that has the entry
//	plan, quantity  notes fp_plan, else subscription.plan_id; subscription.quantity
//	tax             notes fp_net or fp_tax of the payment, the order, the invoice, the subscription; else
//	                invoice.tax_amount
//
// # The tax is not the tax
//
// Amounts are gross. The field tax of a payment is the tax on the fee that Razorpay takes, not the tax that the customer
// paid, and is not read. Say in the notes what the amount holds: fp_tax (the tax in the amount) or fp_net (the amount
// before tax), in the currency's smallest unit (paise) as in Razorpay's own amounts, and without a decimal point. In the
// notes of an order they refer to the order's amount, elsewhere to the payment's. Notes that cannot be right fail the
// payload (422): Razorpay switches a webhook off that fails for 24 hours, so mind the log. Without such a note the gross amount is
// tracked.
//
// A refund carries the payment, and its notes, but not those of the order or the subscription: put fp_tax and fp_uid
// into the notes of the payment too, or use billing.WithPayment, or the gross amount is taken back. The refund of
// a payment that was never captured (Razorpay refunds those by itself) takes no sale back and is skipped.
//
// A subscription that ended names no customer but by its notes and customer_id: put fp_uid into its notes, or use
// billing.WithCustomer. The address void@razorpay.com, which stands for none, is left out.
//
// # Amounts
//
// Razorpay's minor units are those of ISO 4217: 0 digits for JPY and others, 3 for BHD IQD JOD KWD OMR TND, the last of
// which is always 0. What FirstPromoter expects of three-decimal currencies is not documented: hundredths are sent (billing.WithExponents).
//
// # Signature
//
// X-Razorpay-Signature is the HMAC-SHA256 of the body, in hexadecimal; there is no time stamp. Deliveries that were
// made before the secret changed keep the old one: use billing.WithSecrets for a day. Nothing in a payload says that it is of
// test mode: test mode has webhooks, and so secrets, of its own. A body has no id of the event; it is in the header
// x-razorpay-event-id.
//
// Not verified against a published payload: whether the payment of an upfront amount (subscription.authenticated) is
// announced by invoice.paid too, and whether a lost dispute is ever announced as a refund besides.
package razorpay
