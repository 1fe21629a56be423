// Package revenuecat turns RevenueCat's webhooks into FirstPromoter events.
//
//	event.type                            event         amount (before taxes)                                          event id
//	INITIAL_PURCHASE, RENEWAL,            sale          price_in_purchased_currency × (1 − tax_percentage)             store:transaction_id,
//	  NON_RENEWING_PURCHASE                                                                                            such as app_store:2000…
//	CANCELLATION with cancel_reason       refund        the same of a price that is negative                           id of the event
//	  CUSTOMER_SUPPORT or such a price
//	EXPIRATION                            cancellation
//
// Why: RevenueCat has no object for a payment. The transaction id of the store is unique to a payment, and its refund has the same
// one; the same id in two stores means two payments. At Stripe the id is not unique, so renewal_number (else purchased_at_ms) follows it:
// stripe:sub_…:2. So it does at Amazon, whose receipt is the same for all renewals, and at Paddle, where RevenueCat may know only the
// subscription's id, too. A refund has no id of its own, so it gets the id of the event, which is the same in all deliveries. Another
// CANCELLATION only ends the renewal: the customer keeps the paid period until EXPIRATION. BILLING_ISSUE, PRODUCT_CHANGE,
// INVOICE_ISSUANCE, VIRTUAL_CURRENCY_TRANSACTION and the others move no money, or another event reports it.
//
//	field            read from event.…
//	uid              subscriber_attributes fp_uid; else the first of app_user_id, original_app_user_id and aliases that is
//	                 not an anonymous id of RevenueCat ($RCAnonymousID:…); else the anonymous id
//	email            subscriber_attributes fp_email, else $email
//	tid, ref_id      subscriber_attributes fp_tid and fp_ref: set them in the app, with the SDK's custom attributes
//	plan             subscriber_attributes fp_plan, else product_id (on Google Play subscription:base-plan)
//	promo_code       subscriber_attributes fp_promo_code, else offer_code
//
// A customer who buys first and logs in later has the anonymous id in the sale, and another uid in its refund and in renewals. Then the
// refund takes nothing back, because FirstPromoter finds no such sale of that uid. So set $email, fp_email or fp_uid before the purchase.
//
// The events of all stores are taken. Give the payments of the stores STRIPE, PADDLE and RC_BILLING no second handler, such as
// stripe.Handler: its event ids are others, and every sale would count twice.
//
// Skipped: environment SANDBOX and the store TEST_STORE (billing.WithTestMode), trials (period_type TRIAL;
// billing.WithTrialSignups), grants (PROMOTIONAL), and shared purchases (is_family_share), which another family member bought.
// Refunds of these are skipped, too.
//
// # Amounts are estimates
//
// The prices of the stores include tax. RevenueCat estimates the tax and the store's commission, and sends both as floating-point
// numbers. They are read as decimal numbers and rounded once, half to even, to FirstPromoter's minor units. If tax_percentage is
// missing or null (older payloads), the gross price is taken. By default the amount is what the customer paid before taxes;
// WithCommission also subtracts the store's commission. If price_in_purchased_currency or currency is unknown, price is taken, in USD.
// If that is unknown too, the payload fails (422): it is logged, and RevenueCat shows it as failed, so that you can enter the sale by
// hand.
//
// RevenueCat reports a refund only for the latest period. A refund with a price of 0 is skipped with reason by-hand and a warning. So is
// a purchase with a price below zero, which RevenueCat documents for refunds only, and REFUND_REVERSED: FirstPromoter has no event for
// it, and it does not say whether the refund was reported.
//
// # Verification
//
// RevenueCat sends the text that you entered in its dashboard in the header Authorization. Give all of it as the secret, including
// "Bearer " if you entered that. With WithSignature the secret is the signing secret of the webhook, and the header
// X-RevenueCat-Webhook-Signature is checked, which also covers the body. Its time stamp may be 3 hours old (see
// billing.WithTolerance): retries take up to 155 minutes, and it is not documented whether a retry has a new signature. A replay is
// recognized by its event ids. For RevenueCat only 200 is a success; it tries 5 more times.
//
// Not verified with the published documentation: the signature (independent public implementations describe it alike), that the price
// of a refund is always negative (its sign is ignored), partial refunds of web purchases, that a webhook has the same transaction id as
// RevenueCat's exports, whose documentation says that it is not unique at Stripe, that it is the receipt's at Amazon and may be the
// subscription's at Paddle (RevenueCat takes both kinds of Paddle's ids), and which event reports what a store gives back for the rest of
// the old period at an upgrade: RevenueCat's event flows name none, and then the sales are too high by that amount.
package revenuecat
