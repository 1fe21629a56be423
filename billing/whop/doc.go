// Package whop turns Whop's webhooks into FirstPromoter events.
//
//	subscribe to                       event         amount (before taxes)                    event id
//	payment.succeeded                  sale          total − tax_amount                       payment pay_…
//	refund.created, refund.updated     refund        amount × (total − tax_amount) / total    refund rf_…; names the sale:
//	                                                   of the payment, of status=succeeded      payment pay_…
//	dispute.created, dispute.updated   refund        amount, likewise, of status=lost         dispute dspt_…, likewise
//	membership.deactivated             cancellation
//
// Why: every charge has its own payment; the membership is the same at every renewal. total is what the customer paid, including tax,
// whether the tax is on top of the price or in it. amount_after_fees is Whop's payout and is not read. invoice.paid repeats a payment
// and is skipped. A refund that fails or is canceled is skipped with reason by-hand and a warning, since it may have succeeded before. A
// dispute that Visa's Rapid Dispute Resolution settles is a refund, too, and is taken from that. An inquiry moves no money. FirstPromoter
// knows no cryptocurrencies: a payment in one, such as USDT, is skipped with reason by-hand and a warning.
//
//	field           read from data.…
//	email           metadata fp_email; user.email (payment.user.email), which needs the permission member:email:read;
//	                customer_email, buyer.email; else billing.WithCustomer, asked with user_…, and billing.WithPayment,
//	                asked with pay_…
//	uid             metadata fp_uid; else Whop's user id user_…, only where there is no e-mail address
//	tid, ref_id     metadata fp_tid and fp_ref of the payment, of the membership, and of the plan
//	plan            metadata fp_plan; plan.id, plan_id
//	promo_code      metadata fp_promo_code; promo_code.code
//
// Put Attribution.Metadata() and fp_uid into the metadata of the checkout configuration. A payment of an old webhook version (v2, v5)
// has other fields and fails (422): create the webhook with version v1.
//
// A webhook of version v1 is pinned to a date of Whop's API (api_version_date); new ones are to the newest. Payloads of all dates are
// read: amounts are numbers or objects, and other objects are embedded or only named by their id. With a newer date a refund names
// only its payment: give billing.WithPayment, or it is skipped with reason no-customer and a warning. A payment may have no e-mail
// address: put fp_email or fp_uid into the metadata.
//
// The signature is that of Standard Webhooks. The key is the text of the secret (ws_…), not decoded from base64. Payloads do not say
// whether they are from the sandbox, which has its own secrets.
//
// Sources: docs.whop.com/api-reference and Whop's TypeScript and Rust SDKs. Not verified with a recorded payload of version v1: that a
// refund's amount includes tax, that payments of renewals repeat the metadata of the checkout, that Rapid Dispute Resolution always has
// a refund.created, and which fields a dispute's payment has. The SDKs know no tax_amount in it, and older ones (0.0.25) none in a refund's
// payment: without billing.WithPayment the gross amount is taken back. Give it also if a dispute is skipped with reason no-customer.
package whop
