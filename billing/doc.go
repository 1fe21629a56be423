// Package billing turns the signed webhooks of billing providers into events for FirstPromoter:
//
//	http.Handle("POST /webhooks/stripe", stripe.Handler(tracker, os.Getenv("STRIPE_WEBHOOK_SECRET")))
//
// Each package below billing has a Handler, which is an http.Handler (in Gin use gin.WrapH). A Provider describes how one provider
// signs and what its payloads mean. Its Check verifies the signature of a raw body, Events turns a payload into events, and Explain
// says where each field came from. No SDK of a provider is needed.
//
// The packages: stripe, paddle (Paddle Billing), lemonsqueezy, revenuecat, polar, razorpay, paypal, whop, dodo (Dodo
// Payments), fastspring, creem, chargebee and recurly. Package shopify polls instead, because Shopify's webhooks about apps carry no
// amounts. The documentation of each package lists the events to subscribe to and the fields that are read, gives the reasons, and
// says at the end what is not verified. Options of one provider are in its package:
//
//	billing.Handler(tracker, stripe.Provider(stripe.WithClientReferenceTID()), secret, billing.WithTestMode())
//
// FirstPromoter connects to Stripe, Chargebee, Recurly, Paddle and Braintree by itself. An account connected there must
// not be tracked here as well: every sale would earn two commissions.
//
// # What they send
//
// The amount is the payment before taxes in FirstPromoter's minor units, computed in integers: paid × (total − tax) / total. This
// is right for prices with and without tax, for partial payments, discounts and credit. The event id is the id of the payment or
// of the refund, never of the delivery or the subscription: several webhooks about one payment are one sale. Payloads of test mode
// and zero amounts are skipped. A quantity that is not a whole number above zero is left out, which means 1. The amount is rounded to
// the provider's minor unit and then to FirstPromoter's: in a three-decimal currency it may be one hundredth more or less than if it
// were rounded once.
//
// # Attribution
//
// A webhook carries no cookies. At checkout, put fprom.AttributionFrom(r).Metadata() and the uid of the sign-up into the provider's
// metadata, in a place that the provider repeats in its webhooks about the payment. The documentation of each package names it, and
// docs/webhooks.md those of all providers. Stripe Checkout with mode=subscription needs subscription_data.metadata: Stripe copies the
// session's own metadata to no invoice.
//
// The converters read it back:
//
//	fp_tid         the visitor's tracking id          fp_uid         the customer's id, as at sign-up
//	fp_ref         a promoter's referral id           fp_email       where the payload has no address
//	fp_plan        instead of the provider's price    fp_promo_code  the coupon
//
// WithKeys changes these names. A value that FirstPromoter would refuse, or that stands for no id, such as "null" or "undefined", is
// left out, and the sale is sent without it. Use the same e-mail address and uid in all events of a customer.
//
// # Answers of a Handler
//
//	405         the method is not POST
//	413         the body is larger than 1 MiB
//	400 or 401  the signature is wrong; the package of the provider says which status it is
//	422         a signed payload cannot be read, or its event is not valid; logged as an error
//	503         an event was not accepted, or a lookup or the check of the signature failed
//	200         everything else, also an event id that is already used with another amount (fprom.ErrConflict), because sending
//	            it again would not help; this is logged as an error
//
// 405, 413, 400, 401 and a check that failed are logged as a warning, at most once a minute for each reason: anyone can cause them. An
// event type that is skipped because another type reports the same money is logged as a warning once: an endpoint that is subscribed to
// the wrong types would lose every sale. Test mode is logged once and answered 200: "stripe trigger" has no effect without WithTestMode.
// An empty signing secret is logged as an error when the Handler is made.
//
// After 422 and 503 the provider sends the webhook again; events that are accepted already are recognized by their ids. 422 is
// deliberate: the provider shows the failure and keeps the payload until you have removed the cause. A 200 would lose the commission.
//
// # A provider that is not here
//
// Write a Provider, in your own module or as a package billing/<name>:
//
//  1. Provider.Verify: HMACSHA256, StandardWebhooks, Stamped, SharedSecret, BasicAuth, or your own function.
//  2. Provider.Convert: call Payload.Event, and Payload.SkipTest for test mode. Then fill in one Draft for each event (Payload.Sale,
//     Refund, Cancellation, Signup), or say with Payload.Skip why there is none. Take the id of the payment or the refund as the
//     event id. If several types of events report one payment, choose one of them and skip the others with OtherEvent. Subtract
//     the tax from the amount that was paid (BeforeTax). Call Draft.Payment first, then Draft.Metadata, then the other fields.
//  3. Test it with package billingtest: webhooks in testdata, golden files, the answers of the handler, and two fuzz targets.
//  4. Document the events, the fields, the reasons, and what you could not verify. In this module, add the provider to
//     billing/explain as well.
//
// The module examples/acmepay is a complete example. If a webhook has only an id, as Mollie's, see the example of Handler.
package billing
