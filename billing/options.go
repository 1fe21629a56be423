package billing

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// Option changes how webhooks are verified and converted, for any provider. What only one provider has is an option of
// its package, for its function Provider.
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

// newConfig is the defaults. The secret may be empty where nothing is verified.
func newConfig(secret string) *config {
	return &config{
		secrets: []string{secret}, tolerance: defaultTolerance, disputes: true, logger: slog.Default(),
		keys: Keys{"fp_tid", "fp_ref", "fp_uid", "fp_email", "fp_plan", "fp_promo_code"},
	}
}

// WithSecrets accepts further signing secrets, for as long as a rotation takes.
func WithSecrets(secrets ...string) Option {
	return func(c *config) { c.secrets = append(c.secrets, secrets...) }
}

// WithTolerance is how far a signed time stamp may be from now; the default is 5 minutes (RevenueCat: 3 hours, PayPal:
// 4 days). 0 or less accepts any, and with it a replay of an old webhook. Some providers sign no time.
func WithTolerance(d time.Duration) Option {
	return func(c *config) { c.tolerance = d }
}

// WithTestMode tracks the payloads of the provider's test mode too. They are skipped by default.
func WithTestMode() Option {
	return func(c *config) { c.testMode = true }
}

// WithTrialSignups makes a Signup of the start of a trial or of another subscription or order that costs nothing, if its
// metadata has a tid or a ref_id. By default it leads to no event: the application reports sign-ups where they happen.
func WithTrialSignups() Option {
	return func(c *config) { c.signups = true }
}

// WithoutDisputes leaves disputes and chargebacks alone. By default they are refunds where the provider announces them.
func WithoutDisputes() Option {
	return func(c *config) { c.disputes = false }
}

// WithExponents overrides the number of decimal digits that FirstPromoter expects for a currency (money.Exponent), by
// ISO 4217 code in any case. What it expects for three-decimal currencies is not documented; by default they are sent
// in hundredths. Digits outside 0–18 make the amount zero.
func WithExponents(digits map[string]int) Option {
	lower := make(map[string]int, len(digits))
	for code, n := range digits {
		lower[strings.ToLower(code)] = n
	}
	return func(c *config) { c.exponents = lower }
}

// Keys are the names under which a provider's metadata carries what the browser and the application know. One that is
// empty is not read.
type Keys struct {
	TID       string // the visitor's tracking id; default fp_tid
	RefID     string // a promoter's referral id; default fp_ref
	UID       string // the customer's id in the application; default fp_uid
	Email     string // the customer's e-mail address; default fp_email
	Plan      string // the plan, instead of the provider's; default fp_plan
	PromoCode string // the coupon; default fp_promo_code
}

// WithKeys replaces the names of the metadata entries.
func WithKeys(k Keys) Option {
	return func(c *config) { c.keys = k }
}

// WithLogger is where a Handler logs; the default is slog.Default().
func WithLogger(l *slog.Logger) Option {
	return func(c *config) {
		if l != nil {
			c.logger = l
		}
	}
}

// WithObserver calls f once for every event of every webhook, after they were enqueued: to count what was tracked,
// skipped and refused. Of a webhook whose signature is wrong f gets no more than Provider and Err, which wraps
// ErrSignature. f must be quick and safe for concurrent use.
func WithObserver(f func(context.Context, Explanation)) Option {
	return func(c *config) { c.observer = f }
}
