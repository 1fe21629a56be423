// Package paypal turns PayPal's webhooks into FirstPromoter events.
//
//	event_type                               event         amount (before taxes)                                  event id
//	PAYMENT.CAPTURE.COMPLETED                sale          amount.value, less the tax in custom_id                capture id
//	PAYMENT.SALE.COMPLETED (subscriptions)   sale          amount.total × (total − details.tax) / total           sale id
//	PAYMENT.CAPTURE.REFUNDED, .REVERSED,     refund        amount.value, less its share of the tax                refund id
//	  PAYMENT.REFUND.COMPLETED
//	PAYMENT.SALE.REFUNDED, .REVERSED         refund        amount.total, likewise, without its sign               refund id
//	BILLING.SUBSCRIPTION.CANCELLED, EXPIRED  cancellation
//
// Why: a capture or a sale is a payment; an order or a subscription is not. So CHECKOUT.ORDER.… is skipped. CUSTOMER.DISPUTE.… is
// skipped because REFUNDED or REVERSED reports the money that a dispute takes back (billing.WithoutDisputes skips REVERSED). A dispute
// that is won, denied, withdrawn by the buyer or paid by PayPal after a reversal is not a new sale: CUSTOMER.DISPUTE.RESOLVED is a
// warning then (reason by-hand). So is a refund that is pending, such as that of a bank payment, because PayPal lists no event for its
// success, and one that has failed (also PAYMENT.REFUND.PENDING and .FAILED). PAYMENT.REFUND.COMPLETED is not in PayPal's list; if it
// comes, it is the same refund as in REFUNDED, because the refund id is the same. If PayPal holds a payment, it sends
// PAYMENT.SALE.COMPLETED again, weeks later, with payment_hold_status RELEASED. The sale id is the same, so it is the same sale.
// An invoice of PayPal Invoicing that is paid or refunded (INVOICING.INVOICE.…) is a warning (reason by-hand), because PayPal does not say
// whether an event of a capture or a sale reports the payment. ACTIVATED and CREATED of a subscription may come in either order and move no
// money; ACTIVATED is a sign-up with billing.WithTrialSignups.
//
//	field           read from resource.…
//	uid, email,     custom_id (sales: custom), see below; else billing.WithCustomer, asked with the subscription id I-… or
//	tid, ref_id     the order id, and billing.WithPayment, asked with the id of the capture or sale that is refunded
//	email           else, of a subscription: subscriber.email_address (older: payer.payer_info.email)
//	plan            custom_id fp_plan; a payment does not name its plan; sign-ups have none
//	sale_event_id   links, rel=up, of a refund of a capture (Payments v1: capture_id); sale_id of a refund of a sale
//
// # custom_id carries everything
//
// A payment contains no address of the payer, and a capture contains no tax. Payments and their refunds contain the custom_id that the
// application set at checkout (purchase_units[].custom_id of an order, custom_id of a subscription), up to 127 characters. CustomID
// makes one that this package reads:
//
//	fp_uid=user-4711&fp_tid=…&fp_total=119.00&fp_tax=19.00
//
// fp_total is what the customer pays in the end, and fp_tax is the tax in it, both in units of the currency as in PayPal's own
// amounts. Partial captures, refunds, and subscriptions whose price may change need fp_total. custom_id may also be a JSON object with
// the same entries. Any other custom_id is taken as the uid, unless billing.WithCustomer names the customer: applications put all sorts
// of ids there. A wrong value, such as a tax above the total, fails the payload (422).
//
// The payer's address at PayPal often differs from the customer's address in the application. It is used only if nothing else
// names the customer.
//
// # Verification
//
// PayPal signs with a private key; there is no shared secret. Give Handler the id of the webhook (not of an event) as the secret. It
// is part of the signed text: transmission id | transmission time | webhook id | CRC-32 of the body. The certificate is fetched from
// PAYPAL-CERT-URL, which must be https at a host under paypal.com. It must be valid now, be issued to
// messageverificationcerts.paypal.com (or .sandbox.paypal.com), and lead to a root certificate of the system. PayPal serves it without
// the intermediate certificate, which is fetched from the address in the certificate. Certificates are kept. WithCertificates replaces
// the fetching and the roots. If a certificate cannot be fetched, the Handler answers 503.
//
// The transmission time may be 4 days old (see billing.WithTolerance). PayPal repeats a webhook for 3 days and does not document
// whether it then signs a new time. A replay is recognized by its event ids.
//
// Payloads with links to the sandbox are skipped (billing.WithTestMode).
//
// # Amounts
//
// PayPal's amounts are decimal strings in units of the currency. HUF, JPY and TWD have no decimals at PayPal. FirstPromoter expects
// hundredths of HUF and TWD, so these are converted.
//
// Verified with webhooks of PayPal's simulator: the signature, and the form of captures, sales, refunds and subscriptions. Not
// verified: that the sales of a subscription contain its custom_id in custom, that refunds contain details.tax, and which of
// REFUNDED and REVERSED follows each outcome of a dispute.
package paypal
