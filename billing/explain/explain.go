// Package explain finds a billing provider by its name and explains its payloads. It is for tools, because it imports all providers;
// a shop imports only the packages that it needs.
package explain

import (
	"slices"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/chargebee"
	"github.com/fprom-go/fprom/billing/creem"
	"github.com/fprom-go/fprom/billing/dodo"
	"github.com/fprom-go/fprom/billing/fastspring"
	"github.com/fprom-go/fprom/billing/lemonsqueezy"
	"github.com/fprom-go/fprom/billing/paddle"
	"github.com/fprom-go/fprom/billing/paypal"
	"github.com/fprom-go/fprom/billing/polar"
	"github.com/fprom-go/fprom/billing/razorpay"
	"github.com/fprom-go/fprom/billing/recurly"
	"github.com/fprom-go/fprom/billing/revenuecat"
	"github.com/fprom-go/fprom/billing/stripe"
	"github.com/fprom-go/fprom/billing/whop"
)

var providers = []billing.Provider{
	chargebee.Provider(),
	creem.Provider(),
	dodo.Provider(),
	fastspring.Provider(),
	whop.Provider(),
	lemonsqueezy.Provider(),
	paddle.Provider(),
	paypal.Provider(),
	polar.Provider(),
	razorpay.Provider(),
	recurly.Provider(),
	revenuecat.Provider(),
	stripe.Provider(),
}

// Provider returns the provider with this name, which is the name of its package, such as "stripe".
func Provider(name string) (billing.Provider, bool) {
	i := slices.IndexFunc(providers, func(v billing.Provider) bool { return v.Name == name })
	if i < 0 {
		return billing.Provider{}, false
	}
	return providers[i], true
}

// Providers returns the names that Provider knows, sorted.
func Providers() []string {
	names := make([]string, len(providers))
	for i, v := range providers {
		names[i] = v.Name
	}
	slices.Sort(names)
	return names
}

// Explain calls Provider.Explain of the provider with this name.
func Explain(provider string, payload []byte, opts ...billing.Option) billing.Explanation {
	v, ok := Provider(provider)
	if !ok {
		reason := "is not one of " + strings.Join(Providers(), ", ")
		return billing.Explanation{Provider: provider, Err: &fprom.ValidationError{Field: "provider", Reason: reason}}
	}
	return v.Explain(payload, opts...)
}
