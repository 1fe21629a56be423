// Package razorpay turns Razorpay's webhooks into FirstPromoter events.
//
//	subscribe to                                 event         amount (before taxes)                              event id
//	subscription.charged, .authenticated         sale          payment.amount, less the tax in notes              payment pay_…
//	order.paid and payment.captured,             sale          likewise                                           payment pay_…
//	  for payments without an invoice
//	invoice.paid, invoice.partially_paid         sale          payment.amount × (amount − tax_amount) / amount    payment pay_…
//	                                                           of the invoice
//	refund.processed                             refund        refund.amount, less its share of the tax           refund rfnd_…
//	payment.dispute.lost                         refund        dispute.amount_deducted, likewise                  dispute disp_…
//	subscription.cancelled, .completed, .halted  cancellation
//
// Why: up to five events report one payment of a subscription. The event id is that of the payment, the same in all of them. Only
// subscription.charged and subscription.authenticated, which reports an upfront amount, have the plan and the notes of the
// subscription. So a payment of a subscription's invoice is taken from these two, and a payment of another invoice from invoice.paid
// alone; otherwise plan, notes and tax of a sale would depend on the order of delivery. WithPaymentCaptured takes both from
// payment.captured, for accounts that subscribe to nothing else. A payment without an invoice is the same sale in order.paid and
// payment.captured. Subscribe to both: only order.paid has the notes of the order, and payments by QR code or virtual account
// have no order and come only as payment.captured. If you give Razorpay's Checkout notes of its own, put the same entries there: the
// payment has those in place of the order's, and payment.captured may come first.
//
//	field           read from (payload.….entity)
//	email           notes fp_email; payment.email; invoice.customer_details.email; else billing.WithCustomer, asked with
//	                cust_…, and billing.WithPayment, asked with pay_…
//	uid, tid,       notes fp_uid, fp_tid, fp_ref of the payment, the order, the invoice, the subscription: the first that
//	ref_id          has the entry
//	plan, quantity  notes fp_plan, else subscription.plan_id; subscription.quantity
//	tax             notes fp_net or fp_tax, and fp_total, of the invoice, the payment, the order, the subscription; else
//	                invoice.tax_amount
//
// # The field tax is not the sales tax
//
// Amounts are gross. The field tax of a payment is the tax on Razorpay's fee, not the tax that the customer paid, and is not read.
// Put fp_tax (the tax in the amount) or fp_net (the amount before tax) into the notes, and fp_total, the amount with the tax that they
// refer to, in the currency's smallest unit (paise) as in Razorpay's own amounts, without a decimal point. Without fp_total they refer
// to the amount of the order or the invoice, in whose notes they are, and elsewhere to the payment's. So a subscription needs fp_total:
// an upgrade or an offer changes what is charged. A wrong note, such as a tax above the amount, fails the payload (422). Watch the log:
// Razorpay switches off a webhook that fails for 24 hours. Without such a note the gross amount is tracked.
//
// A part payment may repeat the notes of its whole order or invoice. With fp_total they are right for it and for its refunds. Without,
// only the webhooks of an invoice tell that they refer to all of it: then give an order that may be paid in parts no fp_tax and fp_net,
// and use billing.WithPayment for the refunds of an invoice that is paid in parts.
//
// If fee_bearer is customer (Convenience Fee Model), the customer has paid Razorpay's fee on top, and its refund gives it back: the fee
// is subtracted, and the notes refer to the amount without it.
//
// A refund contains the payment with its notes, but not the notes of the order or the subscription. Put fp_tax and fp_uid into the
// notes of the payment too, or use billing.WithPayment. Otherwise the gross amount is taken back. A refund of a payment that was never
// captured (Razorpay makes it by itself) belongs to no sale and is skipped.
//
// The end of a subscription names the customer only by notes and customer_id. Put fp_uid into its notes, or use billing.WithCustomer.
// The address void@razorpay.com means that there is none, and is left out.
//
// # Amounts
//
// Razorpay's minor units are those of ISO 4217: 0 digits for JPY and others, 3 for BHD IQD JOD KWD OMR TND, the last of
// which is always 0. FirstPromoter does not document three-decimal currencies: hundredths are sent (billing.WithExponents).
//
// # Signature
//
// X-Razorpay-Signature is the HMAC-SHA256 of the body, in hexadecimal; there is no time stamp. After you change the secret, retries
// of earlier webhooks still use the old one: give both with billing.WithSecrets for a day. Payloads do not say whether they are of
// test mode. Test mode has its own webhooks and secrets. The id of an event is in the header x-razorpay-event-id, not in the body: the
// log names the refund, the dispute, the payment or the subscription.
//
// Not verified with a published payload: that Razorpay copies the notes of an order to its payment if Checkout gives none (public
// applications rely on it), that fee_bearer is customer if the customer pays the fee, and whether a lost dispute is also reported as a
// refund.
package razorpay
