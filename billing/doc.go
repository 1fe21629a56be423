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
// (fprom.AttributionFrom(r).Metadata()), together with the uid of the sign-up; the converters read it back:
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
//	400 or 401  the signature is wrong (which of them: as the provider's documentation has it)
//	422  a signed payload that cannot be read, or an event that cannot be valid; logged as an error
//	503  an event could not be accepted, or a lookup failed
//	200  everything else
//
// On 422 and 503 the provider sends the webhook again, and what was accepted already is recognized by its event id. 422
// is deliberate: sending again does not help by itself, but the provider shows the failure and keeps the payload until the
// cause is gone, whereas a 200 would lose the commission.
package billing
