package billing

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// defaultTolerance is how far a signed time stamp may be from now.
const defaultTolerance = 5 * time.Minute

// Provider describes one billing provider: how it signs webhooks, and what its payloads mean. Each package below billing has one.
// To write another, see the package documentation.
type Provider struct {
	// Name is the name in logs, errors and Explanation.Provider, such as "stripe".
	Name string
	// Verify checks that a webhook is from the provider. Use HMACSHA256, StandardWebhooks, Stamped.Verify, SharedSecret, BasicAuth,
	// or your own function.
	Verify Verifier
	// Convert makes events from a payload; see Payload. It must be safe for concurrent use.
	Convert func(*Payload)

	// Decode parses a body that is not JSON, such as XML or a form. Values are strings, objects (map[string]any), arrays ([]any) and
	// nil. An error fails the payload. Nil: the body is JSON.
	Decode func(body []byte) (map[string]any, error)
	// Batch is the path of the array of events, such as "events", if one body may hold several. Convert is called for each element.
	// Empty: the body is one event.
	Batch string
	// Refused is the status for a wrong signature. 0: 401.
	Refused int
	// Header is a header that every webhook of the provider has. If it is missing, the log line about the refusal says so, and the error
	// wraps ErrStray.
	Header string
	// SecretPrefix is the prefix of every signing secret of the provider. If the signature is wrong and a secret has another prefix,
	// the log line says so. Empty: secrets have no common prefix.
	SecretPrefix string
	// Tolerance is the default of WithTolerance. 0: 5 minutes.
	Tolerance time.Duration
}

// Check verifies the signature of a webhook. body must be the bytes as received. If the webhook is not from the provider, the error
// wraps ErrSignature.
func (v Provider) Check(h http.Header, body []byte, secret string, opts ...Option) error {
	return v.check(context.Background(), h, body, v.config(secret, opts))
}

// Events converts a payload to events. It does not check the signature. For a payload that is not about money it returns no event
// and no error; Explain says why. If the payload is wrong, the error is a *fprom.ValidationError; other errors are those of a lookup.
func (v Provider) Events(payload []byte, opts ...Option) ([]fprom.Event, error) {
	x := v.Explain(payload, opts...)
	if x.Err != nil {
		return nil, x.Err
	}
	return x.Events(), nil
}

// Explain converts a payload like Events. It also says where each value came from, or why nothing is tracked.
func (v Provider) Explain(payload []byte, opts ...Option) Explanation {
	return v.ExplainContext(context.Background(), payload, opts...)
}

// ExplainContext is Explain with a context for the lookups of WithCustomer and WithPayment.
func (v Provider) ExplainContext(ctx context.Context, payload []byte, opts ...Option) Explanation {
	return join(v.run(ctx, payload, v.config("", opts), false))
}

// config returns the provider's defaults with opts applied.
func (v Provider) config(secret string, opts []Option) *config {
	c := newConfig(secret)
	if v.Tolerance != 0 {
		c.tolerance = v.Tolerance
	}
	for _, o := range opts {
		if o != nil {
			o(c)
		}
	}
	return c
}

// run converts all events of a body. If stored is true, those of an earlier conversion are stored. The result is never empty.
func (v Provider) run(ctx context.Context, payload []byte, c *config, stored bool) []Explanation {
	root, err := v.decode(payload)
	if err != nil {
		return []Explanation{v.convert(ctx, nil, err, c, stored)}
	}
	if v.Batch == "" {
		return []Explanation{v.convert(ctx, root, nil, c, stored)}
	}
	var xs []Explanation
	for _, n := range (Node{v: root}).Each(v.Batch) {
		xs = append(xs, v.convert(ctx, n.v, nil, c, stored))
	}
	if len(xs) == 0 {
		xs = []Explanation{{Provider: v.Name, Skipped: NotMoney, Detail: v.Batch + " holds no event"}}
	}
	return xs
}

func (v Provider) decode(payload []byte) (any, error) {
	if v.Decode == nil {
		return parse(payload)
	}
	object, err := v.Decode(payload)
	if err != nil {
		return nil, &fprom.ValidationError{Field: "payload", Reason: "cannot be read: " + err.Error()}
	}
	return object, nil
}

// convert converts one event.
func (v Provider) convert(ctx context.Context, root any, err error, c *config, stored bool) Explanation {
	p := &Payload{ctx: ctx, config: c, stored: stored, out: Explanation{Provider: v.Name}}
	switch {
	case err != nil:
		p.fail(err)
	case v.Convert == nil:
		p.fail(errors.New("Provider.Convert is nil: nothing can be read"))
	default:
		p.Root = Node{p: p, v: root}
		v.Convert(p)
	}
	x := p.out
	switch {
	case p.err != nil:
		x.Tracked, x.Skipped, x.Detail = nil, "", ""
		x.Err = &prefixed{"fprom: " + strings.Join(strings.Fields(v.Name+" webhook "+x.Type+" "+x.ID), " ") + ": ", p.err}
	case len(x.Tracked) > 0:
		x.Skipped, x.Detail = "", ""
	case x.Skipped == "":
		x.Skipped, x.Detail = NotMoney, "the event type is not one that is tracked"
	}
	return x
}

// check verifies the signature.
func (v Provider) check(ctx context.Context, h http.Header, body []byte, c *config) error {
	err := v.refuse(h, body, c)
	if err == nil {
		err = v.Verify(ctx, Delivery{Header: h, Body: body, Secrets: c.secrets, Tolerance: c.tolerance})
		if errors.Is(err, ErrSignature) {
			err = v.mismatch(err, c)
		}
	}
	if err != nil {
		return &prefixed{"fprom: " + v.Name + " webhook: ", err}
	}
	return nil
}

// prefixed is an error whose text begins with prefix instead of "fprom: ".
type prefixed struct {
	prefix string
	err    error
}

func (e *prefixed) Error() string { return e.prefix + strings.TrimPrefix(e.err.Error(), "fprom: ") }
func (e *prefixed) Unwrap() error { return e.err }
