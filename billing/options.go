package billing

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// Option changes how webhooks of any provider are verified and converted. A provider's package may have further options for its
// function Provider.
type Option func(*config)

// config is what options set.
type config struct {
	secrets   []string
	tolerance time.Duration
	testMode  bool
	signups   bool
	disputes  bool
	exponents map[string]int // FirstPromoter's exponent by lower-case currency
	keys      Keys
	logger    *slog.Logger
	observer  func(context.Context, Explanation)
	customer  func(ctx context.Context, customerID string) (Customer, error)
	payment   func(ctx context.Context, paymentID string) (Payment, error)
}

// newConfig returns the defaults. secret is empty if no signature is checked.
func newConfig(secret string) *config {
	return &config{
		secrets: []string{secret}, tolerance: defaultTolerance, disputes: true, logger: slog.Default(),
		keys: Keys{"fp_tid", "fp_ref", "fp_uid", "fp_email", "fp_plan", "fp_promo_code"},
	}
}

// WithSecrets accepts further signing secrets. Use it while you change the secret.
func WithSecrets(secrets ...string) Option {
	return func(c *config) { c.secrets = append(c.secrets, secrets...) }
}

// WithTolerance sets how far a signed time stamp may be from now. The default is 5 minutes (RevenueCat: 3 hours, PayPal: 4 days).
// 0 or less accepts any time stamp, and so a replay of an old webhook. Some providers sign no time stamp.
func WithTolerance(d time.Duration) Option {
	return func(c *config) { c.tolerance = d }
}

// WithTestMode also tracks payloads of the provider's test mode. By default they are skipped.
func WithTestMode() Option {
	return func(c *config) { c.testMode = true }
}

// WithTrialSignups reports a Signup when a trial, or another subscription or order without a charge, begins and its metadata has a
// tid or a ref_id. By default no event is reported: the application reports sign-ups itself.
func WithTrialSignups() Option {
	return func(c *config) { c.signups = true }
}

// WithoutDisputes ignores disputes and chargebacks. By default they are reported as refunds.
func WithoutDisputes() Option {
	return func(c *config) { c.disputes = false }
}

// WithExponents overrides the number of decimal digits that FirstPromoter expects for a currency (see money.Exponent). The map is
// keyed by ISO 4217 code in any case. FirstPromoter does not document three-decimal currencies; by default their amounts are sent in
// hundredths. Digits outside 0–18 make the amount zero.
func WithExponents(digits map[string]int) Option {
	lower := make(map[string]int, len(digits))
	for code, n := range digits {
		lower[strings.ToLower(code)] = n
	}
	return func(c *config) { c.exponents = lower }
}

// Keys are the names of the entries that are read from a provider's metadata. An entry with an empty name is not read.
type Keys struct {
	TID       string // the visitor's tracking id; default fp_tid
	RefID     string // a promoter's referral id; default fp_ref
	UID       string // the customer's id in the application; default fp_uid
	Email     string // the customer's e-mail address; default fp_email
	Plan      string // the plan, instead of the provider's; default fp_plan
	PromoCode string // the coupon; default fp_promo_code
}

// WithKeys replaces the names of the metadata entries: all of them, so set each one that you need.
func WithKeys(k Keys) Option {
	return func(c *config) { c.keys = k }
}

// WithLogger sets the logger of a Handler. The default is slog.Default().
func WithLogger(l *slog.Logger) Option {
	return func(c *config) {
		if l != nil {
			c.logger = l
		}
	}
}

// WithObserver calls f once for each event of a webhook, after enqueueing, so that you can count what was tracked, skipped and
// refused. If the signature is wrong, only Provider and Err are set, and Err wraps ErrSignature, and for a scanner's request also
// ErrStray. If an event id is already used with another amount, Err wraps fprom.ErrConflict, although the answer is 200. f must be quick
// and safe for concurrent use. The ObserveWebhook of promfprom and otelfprom is such a function.
func WithObserver(f func(context.Context, Explanation)) Option {
	return func(c *config) { c.observer = f }
}
