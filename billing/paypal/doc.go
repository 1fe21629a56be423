// Package paypal turns PayPal's webhooks into FirstPromoter events.
//
//	event_type                               event         amount (before taxes)                                  event id
//	PAYMENT.CAPTURE.COMPLETED                sale          amount.value, less the tax in custom_id                capture id
//	PAYMENT.SALE.COMPLETED (subscriptions)   sale          amount.total × (total − details.tax) / total           sale id
//	PAYMENT.CAPTURE.REFUNDED, .REVERSED      refund        amount.value, less its share of the tax                refund id
//	PAYMENT.SALE.REFUNDED, .REVERSED         refund        amount.total, likewise, without its sign               refund id
//	BILLING.SUBSCRIPTION.CANCELLED, EXPIRED  cancellation
//
// Why: a capture or a sale is money, an order or a subscription is a promise of it. CHECKOUT.ORDER.… is therefore skipped, as
// is CUSTOMER.DISPUTE.…: what a dispute takes back is announced as REFUNDED or REVERSED (billing.WithoutDisputes skips
// REVERSED). PayPal sends PAYMENT.SALE.COMPLETED again, weeks later, when it no longer holds the money back
// (payment_hold_status RELEASED): it has the same sale id, so it is the same sale. ACTIVATED and CREATED of a subscription, which
// can come in either order, move no money; ACTIVATED is a sign-up with billing.WithTrialSignups.
//
//	field           read from resource.…
//	uid, email,     custom_id (sales: custom), see below; else billing.WithCustomer, asked with the subscription id I-… or
//	tid, ref_id     the order id, and billing.WithPayment, asked with the id of the capture or sale that is refunded
//	email           else, of a subscription: subscriber.email_address (older: payer.payer_info.email)
//	plan            custom_id fp_plan; a payment does not name its plan; sign-ups have none
//	sale_event_id   links, rel=up, of a refund of a capture; sale_id of a refund of a sale
//
// # custom_id carries everything
//
// A payment carries neither the payer's address nor, for captures, a tax. What it does carry, on to its refunds, is the
// custom_id that the application gave at checkout (purchase_units[].custom_id of an order, custom_id of a subscription): up
// to 127 characters. CustomID makes one that holds what this package reads:
//
//	fp_uid=user-4711&fp_tid=…&fp_total=119.00&fp_tax=19.00
//
// fp_tax is the tax in fp_total, both in units of the currency as in PayPal's own amounts; fp_total is what the customer pays in
// the end, and is needed for partial captures and refunds. A custom_id that is neither such a string nor begins with "{", as a JSON
// object of the same entries does, is taken as the uid, if billing.WithCustomer does not know better: applications put all
// sorts of ids there. Values that cannot be right fail the payload (422).
//
// The payer's address at PayPal is often another than the customer's in the application: it is used only where nothing
// else names the customer.
//
// # Verification
//
// PayPal signs with a private key; there is no shared secret. The secret of Verify and Handler is the id of the webhook
// (not of an event), which is part of what is signed: transmission id | transmission time | webhook id | CRC-32 of the
// body. The certificate is fetched from PAYPAL-CERT-URL, which must be https at a host under paypal.com, checked against the
// root certificates of the system, for the validity now, and for a name under paypal.com, and kept; PayPal serves it without that
// of the intermediate authority, which is fetched from where the certificate says. WithCertificates replaces the fetching
// and the roots. If a certificate cannot be fetched, the Handler answers 503.
//
// The transmission time may be 4 days old (or what billing.WithTolerance says): PayPal tries for 3 days, it is not
// documented whether with a new time, and a replay is recognized by its event ids.
//
// Sandbox payloads are told by their links, and skipped (billing.WithTestMode).
//
// # Amounts
//
// PayPal's amounts are decimal strings in units of the currency. HUF, JPY and TWD have no decimals at PayPal; FirstPromoter
// wants hundredths of HUF and TWD, so those are converted.
//
// Checked against what PayPal's webhook simulator sent: the signature, and the shapes of captures, sales, refunds
// and subscriptions. Not verified: that the sales of a subscription carry its custom_id in custom, that refunds carry
// details.tax, and which of REFUNDED and REVERSED follows each outcome of a dispute.
package paypal
