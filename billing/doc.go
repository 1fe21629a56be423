// Package billing holds what the converters of the billing providers have in common: their options, and Explain. The
// packages below turn a provider's signed webhook into events for FirstPromoter:
//
//	http.Handle("POST /webhooks/stripe", stripe.Handler(tracker, os.Getenv("STRIPE_WEBHOOK_SECRET")))
//
// Each has Verify (the signature over the raw body), Events (payload to events; none for what is not money), Explain and
// Handler (all of it, as an http.Handler; in Gin: gin.WrapH). They read JSON and need no SDK of the provider.
//
// The packages: stripe, paddle (Paddle Billing), lemonsqueezy, revenuecat, polar, razorpay and paypal. Each begins with
// the table of the events to subscribe to, the fields read, and why; and says what of it is not verified.
//
// FirstPromoter connects to Stripe, Chargebee, Recurly, Paddle and Braintree by itself. An account connected there must
// not be tracked here as well: every sale would earn two commissions.
//
// # What they send
//
// The amount is what was paid before taxes, in FirstPromoter's minor units, computed in integers: paid × (total − tax) /
// total. It holds for prices with and without tax, for partial payments, discounts and credit. The event id is the id of
// the payment or the refund, never of the delivery or the subscription, so that a payment that is announced by several
// webhooks, or several times, is one sale. Test mode and zero amounts are skipped.
//
// # Attribution
//
// A webhook carries no cookies. Put what the browser knows into the provider's metadata at checkout
// (fprom.AttributionFrom(r).Metadata()), together with the uid of the sign-up. The right place for fp_tid is the one that the
// provider repeats in what it says about the payment:
//
//	Stripe Checkout, mode=subscription   subscription_data.metadata
//	Stripe Checkout, mode=payment        metadata, and payment_intent_data.metadata for the refunds
//	Stripe payment link, pricing table   client_reference_id, with stripe.WithClientReferenceTID
//	Stripe subscriptions, invoices       metadata of the subscription or the invoice
//	Stripe's customer                    billing.WithCustomer, which reads its metadata from Stripe's API
//	Paddle                               customData of the checkout (custom_data in the API)
//	Lemon Squeezy                        checkout_data.custom, or checkout[custom][fp_tid] in the link
//	Polar                                metadata of the checkout, or of the customer
//	Razorpay                             notes of the order or the subscription, and of the payment for the refunds
//	PayPal                               custom_id, made by paypal.CustomID
//	RevenueCat                           attributes of the subscriber, set in the app
//
// The converters read it back:
//
//	fp_tid         the visitor's tracking id          fp_uid         the customer's id, as at sign-up
//	fp_ref         a promoter's referral id           fp_email       where the payload has no address
//	fp_plan        instead of the provider's price    fp_promo_code  the coupon
//
// WithKeys changes these names. A value that FirstPromoter would refuse is left out; the sale is sent all the same. Use the
// same e-mail address and uid in all events of a customer.
//
// # Answers of a Handler
//
//	405  not a POST                                413  the body is larger than 1 MiB
//	400 or 401  the signature is wrong (which of them: as the provider's documentation has it); logged as a warning at
//	            most once a minute and reason
//	422  a signed payload that cannot be read, or an event that cannot be valid; logged as an error
//	503  an event could not be accepted, or a lookup failed
//	200  everything else; also for an event whose id was used with another amount (fprom.ErrConflict), which sending
//	     again would not mend: it is logged as an error
//
// The first webhook of each type that is skipped because another one reports the same money is logged as a warning: an
// endpoint that is subscribed to the wrong types would lose every sale. Test mode is skipped, logged once, and answered 200,
// so that "stripe trigger" shows nothing at FirstPromoter without WithTestMode. A signing secret that is empty is logged as
// an error at once, by Handler.
//
// On 422 and 503 the provider sends the webhook again, and what was accepted already is recognized by its event id. 422
// is deliberate: sending again does not help by itself, but the provider shows the failure and keeps the payload until the
// cause is gone, whereas a 200 would lose the commission.
package billing
