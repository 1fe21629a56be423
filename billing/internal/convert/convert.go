// Package convert is what the billing providers share: reading a payload so that every value knows where it came from,
// building events out of such values, checking signatures, and the HTTP handler around them.
//
// To add a provider, write a package billing/<name> with
//
//  1. verify(ctx, header, body, *Config) error: the signature over the raw body, with Stamped or MatchHMAC and CheckTime, or an
//     error that wraps ErrSignature. Config.Secrets holds the secret and those of a rotation; an empty one never matches.
//  2. convert(p *Payload): p.Event(type, id) first; p.SkipTest if it is test mode; then by type either one Draft per
//     event (p.Sale, p.Refund, p.Cancellation, p.Signup; fill it, then Add) or p.Skip with a Reason. Read every value
//     with Node.Text and Node.Int, compute with Int's methods and BeforeTax: then Explain cannot say anything else than
//     what Events does. A value of the wrong type fails the payload by itself; Fail does it for other reasons.
//  3. var provider = convert.Provider{…} and the exported Verify, Events, Explain and Handler, as in billing/stripe,
//     whose one-line bodies call it; type Option = convert.Option; options of its own set Config.Extra["name.option"].
//  4. testdata/*.json and hooktest.Golden, hooktest.Handler, the fuzz targets and an Example, as in billing/stripe.
//
// and add it to the table in billing/explain.go.
package convert

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// DefaultTolerance is how far a signed time stamp may be from now.
const DefaultTolerance = 5 * time.Minute

// Provider is what is particular to one billing provider.
type Provider struct {
	Name    string // as in the package path
	Refused int    // the status for a wrong signature
	Header  string // the header that a request of the provider always has

	SecretPrefix string // how every secret begins; empty: unknown
	Verify       func(ctx context.Context, h http.Header, body []byte, c *Config) error
	Convert      func(p *Payload)

	Tolerance time.Duration // instead of DefaultTolerance; 0: that
}

// config applies opts to the provider's defaults.
func (v Provider) config(secret string, opts []Option) *Config {
	if v.Tolerance == 0 {
		return NewConfig(secret, opts)
	}
	tolerance := func(c *Config) { c.Tolerance = v.Tolerance }
	return NewConfig(secret, append([]Option{tolerance}, opts...))
}

// Config is what options set. The exported options and their meaning are in package billing.
type Config struct {
	Secrets   []string
	Tolerance time.Duration
	TestMode  bool
	Signups   bool
	Disputes  bool
	Exponents map[string]int // FirstPromoter's exponent by lower-case currency
	Keys      Keys
	Logger    *slog.Logger
	Observer  func(context.Context, Explanation)
	Customer  func(ctx context.Context, customerID string) (Customer, error)
	Payment   func(ctx context.Context, paymentID string) (Payment, error)
	Extra     map[string]any // of one provider, by "provider.option"
}

// Option changes a Config.
type Option func(*Config)

// Keys are the names under which a provider's metadata carries what the browser and the application know.
type Keys struct {
	TID       string // default fp_tid
	RefID     string // default fp_ref
	UID       string // default fp_uid
	Email     string // default fp_email
	Plan      string // default fp_plan
	PromoCode string // default fp_promo_code
}

// Customer is what an application knows of a provider's customer. Empty fields are unknown.
type Customer struct {
	Email, UID string // as in the customer's sign-up and sales
	TID, RefID string // the visitor's tracking id and a promoter's referral id
}

// Payment is what an application knows of an earlier payment. Empty fields are unknown.
type Payment struct {
	SaleEventID string // the event id under which the payment was reported
	Email, UID  string // the customer, as in that sale
	Total, Tax  int64  // what was charged with taxes, and the taxes in it, in the provider's minor units
	// Refunded is what was given back before this refund, with taxes, in the provider's minor units: for providers
	// whose refunds only tell the sum (Lemon Squeezy).
	Refunded int64
}

// NewConfig applies opts to the defaults. The secret may be empty where nothing is verified.
func NewConfig(secret string, opts []Option) *Config {
	c := &Config{
		Secrets: []string{secret}, Tolerance: DefaultTolerance, Disputes: true, Logger: slog.Default(), Extra: map[string]any{},
		Keys: Keys{"fp_tid", "fp_ref", "fp_uid", "fp_email", "fp_plan", "fp_promo_code"},
	}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	return c
}

// Set reports whether the boolean option of a provider is on.
func (c *Config) Set(name string) bool { return c.Extra[name] == true }

// WithExtra is a boolean option of one provider.
func WithExtra(name string) Option { return func(c *Config) { c.Extra[name] = true } }

// Check verifies the signature of body.
func (v Provider) Check(h http.Header, body []byte, secret string, opts []Option) error {
	return v.verify(context.Background(), h, body, v.config(secret, opts))
}

func (v Provider) verify(ctx context.Context, h http.Header, body []byte, c *Config) error {
	err := v.refuse(h, body, c)
	if err == nil {
		err = v.Verify(ctx, h, body, c)
		if errors.Is(err, ErrSignature) {
			err = v.mismatch(err, c)
		}
	}
	if err != nil {
		return &prefixed{"fprom: " + v.Name + " webhook: ", err}
	}
	return nil
}

// prefixed is an error with a prefix, which takes the place of the error's own.
type prefixed struct {
	prefix string
	err    error
}

func (e *prefixed) Error() string { return e.prefix + strings.TrimPrefix(e.err.Error(), "fprom: ") }
func (e *prefixed) Unwrap() error { return e.err }

// Events converts a payload whose signature was checked.
func (v Provider) Events(payload []byte, opts []Option) ([]fprom.Event, error) {
	x := v.run(context.Background(), payload, v.config("", opts))
	if x.Err != nil {
		return nil, x.Err
	}
	return x.Events(), nil
}

// Explain converts a payload and tells how.
func (v Provider) Explain(payload []byte, opts []Option) Explanation {
	return v.run(context.Background(), payload, v.config("", opts))
}

func (v Provider) run(ctx context.Context, payload []byte, c *Config) Explanation {
	p := &Payload{ctx: ctx, config: c, out: Explanation{Provider: v.Name}}
	root, err := parse(payload)
	if err != nil {
		p.fail(err)
	} else {
		p.Root = Node{p: p, v: root}
		v.Convert(p)
	}
	x := p.out
	switch {
	case p.err != nil:
		x.Tracked, x.Skipped, x.Detail = nil, "", ""
		x.Err = &prefixed{"fprom: " + v.Name + " webhook " + orDash(x.Type) + " " + orDash(x.ID) + ": ", p.err}
	case len(x.Tracked) > 0:
		x.Skipped, x.Detail = "", ""
	case x.Skipped == "":
		x.Skipped, x.Detail = NotMoney, "the event type is not one that is tracked"
	}
	return x
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
