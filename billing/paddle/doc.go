// Package paddle turns the webhooks of Paddle Billing into FirstPromoter events. (Paddle Classic's are something else.)
//
// A Paddle account that is connected inside FirstPromoter must not be tracked here as well: every sale would count twice.
//
//	subscribe to            event         amount (before taxes)                        event id
//	transaction.completed   sale          grand_total − grand_total_tax                transaction txn_…
//	adjustment.created,     refund        totals.total − totals.tax, of                adjustment adj_…; names the
//	  adjustment.updated                  action=refund or chargeback, status=approved   sale: transaction txn_…
//	subscription.canceled   cancellation
//
// Why: transaction.completed comes when everything of the transaction is known; transaction.paid may still lack its
// subscription, and the two are one payment. grand_total is what is left to pay after credit; where payloads have no
// grand_total_tax yet, tax is taken in proportion (tax / total). Amounts are strings in the currency's minor units.
// Most refunds wait for Paddle's approval, so that adjustment.created says pending_approval and adjustment.updated
// approved; credit stays with Paddle and is no refund; adjustments of type tax give nothing back before taxes. A
// chargeback is a refund (billing.WithoutDisputes); its warning moves no money, and its reversal is not sold again.
//
//	field           read from
//	email           custom_data fp_email, email; customer.email, if the payload includes it; else billing.WithCustomer,
//	                asked with ctm_…; refunds: also billing.WithPayment, asked with txn_…
//	uid             custom_data fp_uid; else the customer's id ctm_…, if there is fp_tid or fp_ref
//	tid, ref_id     custom_data fp_tid, fp_ref
//	plan, quantity  custom_data fp_plan; else of the first item: price.id
//
// Paddle's payloads name the customer by an id only: put fp_tid and fp_uid (or fp_email) into customData at checkout
// (Paddle.js; custom_data in the API), or give billing.WithCustomer. With fp_tid alone the uid is Paddle's customer id, as in
// FirstPromoter's own connection. Without any of them the event is skipped with reason no-customer and a warning. The
// custom_data of a checkout is repeated in its subscription and in the transactions of later periods
// (https://developer.paddle.com/build/transactions/custom-data). Adjustments have none, so that refunds need
// billing.WithPayment or billing.WithCustomer, which may answer billing.Customer{UID: id} for customers known by that id.
//
// Payloads do not say whether they come from the sandbox, which has its own accounts and signing secrets: do not give
// the sandbox's secret to a handler in production.
//
// Not verified against a published payload: that the minor units are those of ISO 4217 for every currency.
package paddle
