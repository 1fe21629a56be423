// Package billing turns the signed webhooks of billing providers into events for FirstPromoter:
//
//	http.Handle("POST /webhooks/stripe", stripe.Handler(tracker, os.Getenv("STRIPE_WEBHOOK_SECRET")))
//
// A Provider says how one of them signs, and what its payloads mean. Handler does the rest; it is an http.Handler (in Gin:
// gin.WrapH). A Provider's Check verifies the signature of a raw body, Events turns a payload into events (none for what
// is not money), and Explain says where each field came from. Payloads are read as JSON; no SDK is needed.
//
// The packages: stripe, paddle (Paddle Billing), lemonsqueezy, revenuecat, polar, razorpay, paypal, whop, dodo (Dodo
// Payments), fastspring, creem, chargebee and recurly; and shopify, which polls, since Shopify's webhooks about apps carry no
// amounts. Each begins with a table of the events to subscribe to, the fields read, and why. At its end it says what could
// not be verified. An option that only one provider has is in that provider's package:
//
//	billing.Handler(tracker, stripe.Provider(stripe.WithClientReferenceTID()), secret, billing.WithTestMode())
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
// (fprom.AttributionFrom(r).Metadata()), together with the uid of the sign-up. The right place for fp_tid is one that the
// provider repeats in its webhooks about the payment:
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
//	Whop                                 metadata of the checkout configuration
//	Dodo Payments                        metadata of the checkout session, the payment or the subscription
//	FastSpring                           tags of the session
//	Creem                                metadata of the checkout
//	Shopify                              none: report a Signup when the app is installed
//	Recurly                              none: report a Signup, or give billing.WithCustomer
//	Chargebee                            meta_data of the customer or the subscription, or custom fields cf_fp_tid, …
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
//	405  not a POST; logged like 401               413  the body is larger than 1 MiB; logged like 401
//	400 or 401  the signature is wrong (which of the two, the provider's documentation says); logged as a warning at
//	            most once a minute and reason
//	422  a signed payload that cannot be read, or an event that cannot be valid; logged as an error
//	503  an event could not be accepted, or a lookup failed
//	200  everything else; also for an event whose id was used with another amount (fprom.ErrConflict), which sending
//	     again would not mend: it is logged as an error
//
// The first webhook of each type that is skipped because another one reports the same money is logged as a warning: an
// endpoint that is subscribed to the wrong types would lose every sale. Test mode is skipped, logged once, and answered 200:
// "stripe trigger" has no effect at FirstPromoter without WithTestMode. Handler logs an empty signing secret as an error at
// once.
//
// On 422 and 503 the provider sends the webhook again, and what was accepted already is recognized by its event id. 422
// is deliberate: sending again does not help by itself, but the provider shows the failure and keeps the payload until the
// cause is gone, whereas a 200 would lose the commission.
//
// # A provider that is not here
//
// Write a Provider, in your own module or as a package billing/<name>:
//
//  1. Provider.Verify: HMACSHA256, StandardWebhooks, Stamped, SharedSecret, BasicAuth, or a function of your own.
//  2. Provider.Convert: Payload.Event first; Payload.SkipTest if it is test mode; then, by the type of the event, fill in
//     one Draft per event (Payload.Sale, Refund, Cancellation, Signup), or say with Payload.Skip why there is none. The event
//     id is that of the payment or the refund, so that a payment that is announced twice is one sale; choose one family
//     of types for each kind of payment, and skip the others with OtherEvent. Take the amount that was paid, less its tax
//     (BeforeTax), and call Draft.Metadata before the other fields. Read every value with Node.Text, Node.Int and
//     Node.Decimal: then Explain says where it came from.
//  3. Test it with package billingtest: webhooks in testdata, golden files, the answers of the handler, and two fuzz targets.
//  4. Write down the table: events, fields, and why; and what you could not verify. In this module also add the provider to
//     billing/explain.
//
// The module examples/acmepay is a complete one.
package billing
