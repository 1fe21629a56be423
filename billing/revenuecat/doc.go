// Package revenuecat turns RevenueCat's webhooks into FirstPromoter events.
//
//	event.type                            event         amount (before taxes)                                          event id
//	INITIAL_PURCHASE, RENEWAL,            sale          price_in_purchased_currency × (1 − tax_percentage)             store:transaction_id,
//	  NON_RENEWING_PURCHASE                                                                                            such as app_store:2000…
//	CANCELLATION with cancel_reason       refund        the same of a price that is negative                           id of the event
//	  CUSTOMER_SUPPORT
//	EXPIRATION                            cancellation
//
// Why: RevenueCat has no object for a payment; what is unique to one, and the same in its refund, is the transaction id of
// the store. The same id in two stores is two payments. The id of an event is the same in all its deliveries. A refund has no
// id of its own, and takes the event's. CANCELLATION for another reason only ends the renewal: the customer keeps what was
// paid for until EXPIRATION. BILLING_ISSUE, PRODUCT_CHANGE, INVOICE_ISSUANCE, VIRTUAL_CURRENCY_TRANSACTION and the others
// move no money, or are followed by an event that says so.
//
//	field            read from event.…
//	uid              subscriber_attributes fp_uid; else app_user_id, original_app_user_id or one of aliases: the first
//	                 that is not one of RevenueCat's anonymous ids ($RCAnonymousID:…); else the anonymous id
//	email            subscriber_attributes fp_email, else $email
//	tid, ref_id      subscriber_attributes fp_tid and fp_ref: set them in the app, with the SDK's custom attributes
//	plan             subscriber_attributes fp_plan, else product_id (on Google Play subscription:base-plan)
//	promo_code       subscriber_attributes fp_promo_code, else offer_code
//
// Skipped: environment SANDBOX and the store TEST_STORE (billing.WithTestMode), trials (period_type TRIAL;
// billing.WithTrialSignups), what was granted (PROMOTIONAL), and what a family member shares (is_family_share), which
// the store sold to another customer.
//
// # Amounts are estimates
//
// The prices of the stores include tax. RevenueCat estimates the share of it, and the store's commission, and sends
// them as floating-point numbers. They are read as the decimal numbers that they are written as, and rounded once, half
// to even, in FirstPromoter's minor units. Where tax_percentage is missing or null (older payloads), the gross price is taken. By
// default a promoter's commission is computed on what the customer paid before taxes; WithCommission also subtracts
// the store's. Where the price in the purchased currency is unknown, price is taken, in USD; where that is unknown too, the
// payload fails (422), is logged, and shown as failed by RevenueCat, so that the sale can be entered by hand.
//
// Only the refund of the latest period is notified. One with a price of 0 is skipped with reason no-amount and a warning. REFUND_REVERSED, which takes a refund back, is skipped with a
// reason: FirstPromoter has no event for it, and whether the refund was notified cannot be told.
//
// # Verification
//
// RevenueCat sends, in the header Authorization, the value that was entered in its dashboard: secret is all of it, with
// "Bearer " if that was entered. With WithSignature the secret is instead the signing secret of the webhook, and
// X-RevenueCat-Webhook-Signature is checked, which covers the body. Its time stamp may be 3 hours old (or what
// billing.WithTolerance says), because it is not documented whether a retry is signed anew, retries take up to 155
// minutes, and a replay is recognized by its event ids. RevenueCat takes exactly 200 for success and tries 5 more times.
//
// Not verified against the published documentation: the signature (it is described alike by independent public
// implementations), that the price of a refund is always negative (its sign is ignored), and partial refunds of web
// purchases.
package revenuecat
