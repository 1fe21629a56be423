package billing

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/fprom-go/fprom/billing/internal/convert"
)

type (
	// Option changes how a provider's payload is verified and converted. All functions of the provider packages take
	// options; those that do not apply have no effect.
	Option = convert.Option
	// Keys are the names of metadata entries: TID, RefID, UID, Email, Plan and PromoCode, all strings. An empty one is
	// not read.
	Keys = convert.Keys
	// Customer is what an application knows of a provider's customer: Email and UID as in the customer's sign-up and sales,
	// TID (the visitor's tracking id) and RefID (a promoter's referral id), all strings. What is not known is left empty.
	Customer = convert.Customer
	// Payment is what an application knows of an earlier payment: SaleEventID (the event id that it was reported with),
	// Email and UID of the customer as in that sale, Total and Tax (what was charged with taxes, and the taxes in it),
	// and Refunded (what was given back before this refund, with taxes; for providers whose refunds only tell the sum).
	// Amounts are int64, in the provider's minor units. What is not known is left empty.
	Payment = convert.Payment
	// Explanation says what a payload led to, and why: Provider, Type and ID (the provider's, of the event), Tracked (the
	// events with the origin of their fields) or Skipped (the Reason why nothing is tracked, with more in Detail) or Err
	// (the payload cannot be read, a lookup failed, or an event was not accepted). Events returns the events alone, String
	// is for people.
	Explanation = convert.Explanation
	// Tracked is one event of an Explanation: Event, and its Fields.
	Tracked = convert.Tracked
	// Field is one field of an event and where it came from: Name (FirstPromoter's, such as "event_id"), Value (e-mail
	// addresses are shortened) and From (a path in the payload, or a formula over paths).
	Field = convert.Field
	// Reason is why a payload led to no event.
	Reason = convert.Reason
)

// The reasons why nothing was tracked.
const (
	NotMoney    = convert.NotMoney    // no payment, refund or cancellation
	OtherEvent  = convert.OtherEvent  // the same money is reported by another event of the provider
	NotFinal    = convert.NotFinal    // pending, failed or not ended: another event follows if money moves
	NothingPaid = convert.NothingPaid // the amount before taxes is zero: a trial, a full discount, credit
	TestMode    = convert.TestMode    // a test payload (see WithTestMode)
	NoCustomer  = convert.NoCustomer  // money, but nothing names the customer: a commission may be lost
	NoAmount    = convert.NoAmount    // money moved, but the payload does not say how much: report it by hand
)

// ErrSignature is wrapped by Verify's error if the request is not from the provider.
var ErrSignature = convert.ErrSignature

// WithSecrets accepts further signing secrets, for as long as a rotation takes.
func WithSecrets(secrets ...string) Option {
	return func(c *convert.Config) { c.Secrets = append(c.Secrets, secrets...) }
}

// WithTolerance is how far a signed time stamp may be from now; the default is 5 minutes (RevenueCat: 3 hours, PayPal:
// 4 days). 0 or less accepts any, and with it a replay of an old webhook.
func WithTolerance(d time.Duration) Option {
	return func(c *convert.Config) { c.Tolerance = d }
}

// WithTestMode tracks the payloads of the provider's test mode too. They are skipped by default.
func WithTestMode() Option {
	return func(c *convert.Config) { c.TestMode = true }
}

// WithTrialSignups makes a Signup of the start of a trial or of another subscription or order that costs nothing, if its
// metadata has a tid or a ref_id. By default it leads to no event: the application reports sign-ups where they happen.
func WithTrialSignups() Option {
	return func(c *convert.Config) { c.Signups = true }
}

// WithoutDisputes leaves disputes and chargebacks alone. By default they are refunds where the provider announces them.
func WithoutDisputes() Option {
	return func(c *convert.Config) { c.Disputes = false }
}

// WithExponents overrides the number of decimal digits that FirstPromoter expects for a currency (money.Exponent), by
// ISO 4217 code in any case. What it expects for three-decimal currencies is not documented; by default they are sent
// in hundredths. Digits outside 0–18 make the amount zero.
func WithExponents(digits map[string]int) Option {
	lower := make(map[string]int, len(digits))
	for code, n := range digits {
		lower[strings.ToLower(code)] = n
	}
	return func(c *convert.Config) { c.Exponents = lower }
}

// WithKeys replaces the names of the metadata entries: fp_tid, fp_ref, fp_uid, fp_email, fp_plan and fp_promo_code. Those that
// k leaves empty are not read.
func WithKeys(k Keys) Option {
	return func(c *convert.Config) { c.Keys = k }
}

// WithLogger is where a Handler logs; the default is slog.Default().
func WithLogger(l *slog.Logger) Option {
	return func(c *convert.Config) {
		if l != nil {
			c.Logger = l
		}
	}
}

// WithObserver calls f once for every webhook, after its events were enqueued: to count what was tracked, skipped and
// refused. Of one whose signature is wrong f gets no more than Provider and Err, which wraps ErrSignature. f must be
// quick and safe for concurrent use.
func WithObserver(f func(context.Context, Explanation)) Option {
	return func(c *convert.Config) { c.Observer = f }
}

// WithCustomer asks f what is known of a provider's customer id, where the payload names the customer no other way, and
// for sales that carry neither a tid nor a ref_id, so that those in the metadata of the provider's customer count. What
// the payload says is kept. Give the e-mail address or uid that the customer's sales are reported with. An error makes
// the Handler answer 503; the zero Customer means unknown. The request's context bounds it; Events and Explain use the
// background.
func WithCustomer(f func(ctx context.Context, customerID string) (Customer, error)) Option {
	return func(c *convert.Config) { c.Customer = f }
}

// WithPayment asks f what is known of the payment that a refund or a dispute takes back: the sale's event id, the
// customer, and the taxes, so that only the part before taxes is taken back. Which id f is asked with is said by the
// package of the provider. An error makes the Handler answer 503; the zero Payment means unknown.
func WithPayment(f func(ctx context.Context, paymentID string) (Payment, error)) Option {
	return func(c *convert.Config) { c.Payment = f }
}
