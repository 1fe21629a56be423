package billing

import (
	"slices"
	"strings"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/lemonsqueezy"
	"github.com/fprom-go/fprom/billing/paddle"
	"github.com/fprom-go/fprom/billing/paypal"
	"github.com/fprom-go/fprom/billing/polar"
	"github.com/fprom-go/fprom/billing/razorpay"
	"github.com/fprom-go/fprom/billing/revenuecat"
	"github.com/fprom-go/fprom/billing/stripe"
)

var explainers = map[string]func([]byte, ...Option) Explanation{
	"lemonsqueezy": lemonsqueezy.Explain,
	"paddle":       paddle.Explain,
	"paypal":       paypal.Explain,
	"polar":        polar.Explain,
	"razorpay":     razorpay.Explain,
	"revenuecat":   revenuecat.Explain,
	"stripe":       stripe.Explain,
}

// Explain converts a payload like the Events function of that provider's package, and tells which field each value came
// from, or why nothing is tracked. provider is the name of the package, such as "stripe" (see Providers). The signature
// is not checked.
func Explain(provider string, payload []byte, opts ...Option) Explanation {
	explain, ok := explainers[provider]
	if !ok {
		return Explanation{Provider: provider, Err: &fprom.ValidationError{Field: "provider", Reason: "is not one of " + strings.Join(Providers(), ", ")}}
	}
	return explain(payload, opts...)
}

// Providers are the names that Explain knows, sorted.
func Providers() []string {
	var names []string
	for name := range explainers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
