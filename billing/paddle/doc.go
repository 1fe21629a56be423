// Package paddle turns the webhooks of Paddle Billing into FirstPromoter events. (Paddle Classic has other webhooks.)
//
// Do not use it for a Paddle account that is connected inside FirstPromoter: every sale would count twice.
//
//	subscribe to            event         amount (before taxes)                        event id
//	transaction.completed   sale          grand_total − grand_total_tax                transaction txn_…
//	adjustment.created,     refund        totals.total − totals.tax, of                adjustment adj_…; names the
//	  adjustment.updated                  action=refund or chargeback, status=approved   sale: transaction txn_…
//	subscription.canceled   cancellation
//
// Why: transaction.completed and transaction.paid report one payment, and transaction.paid may lack the subscription. grand_total is what
// the customer pays after credit. If a payload has no grand_total_tax (an older one), or if it is the tax before credit (as of transactions
// from before January 2026), the tax is taken in proportion (tax / total). Amounts are strings in the currency's minor units. Most refunds
// need Paddle's approval: adjustment.created then has the status pending_approval, and adjustment.updated approved. An adjustment of action
// credit is not a refund, because the money stays at Paddle. An adjustment of type tax changes nothing before taxes. A chargeback is a
// refund (see billing.WithoutDisputes); a chargeback warning moves no money. A reversed chargeback is not reported as a new sale: it is
// skipped with reason by-hand and a warning. So is a refund with the status reversed, which Paddle lists without saying when it occurs.
//
//	field           read from
//	email           custom_data fp_email, email; customer.email, if the payload includes it; else billing.WithCustomer,
//	                asked with ctm_…; refunds: also billing.WithPayment, asked with txn_…
//	uid             custom_data fp_uid; else the customer's id ctm_…, if there is fp_tid or fp_ref
//	tid, ref_id     custom_data fp_tid, fp_ref
//	plan, quantity  custom_data fp_plan; else of the first item: price.id
//
// Paddle's payloads contain only an id of the customer. Put fp_tid and fp_uid (or fp_email) into customData at checkout (Paddle.js;
// custom_data in the API), or give billing.WithCustomer. With fp_tid alone the uid is Paddle's customer id, as in FirstPromoter's own
// connection. Without all of these the event is skipped with reason no-customer and a warning. Paddle copies the custom_data of a
// checkout to its subscription and to later transactions (https://developer.paddle.com/build/transactions/custom-data). Adjustments
// have no custom_data, so refunds need billing.WithPayment or billing.WithCustomer. WithCustomer may return
// billing.Customer{UID: id} for customers whose uid is Paddle's id.
//
// Events of Paddle's webhook simulator (event_id ntfsimevt_…) are skipped (billing.WithTestMode): it signs them with the secret of the
// destination, also in a live account. Payloads do not say whether they are from the sandbox. The sandbox has its own accounts and
// signing secrets: do not give its secret to a handler in production.
//
// Not verified with a published payload: that the minor units are those of ISO 4217 for every currency. Paddle's API lists them (GET
// /currencies, decimal_places).
package paddle
