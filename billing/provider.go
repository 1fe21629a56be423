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

// Provider is what is particular to one billing provider: how it signs, and what its payloads mean. The packages below
// billing have one each; write your own for any other (see the package documentation).
type Provider struct {
	// Name is in logs, in errors and in Explanation.Provider, such as "stripe".
	Name string
	// Verify checks that a webhook comes from the provider: HMACSHA256, StandardWebhooks, Stamped.Verify, SharedSecret,
	// BasicAuth, or a function of your own.
	Verify Verifier
	// Convert says what a payload means: see Payload. It may be called by several goroutines at once.
	Convert func(*Payload)

	// Decode reads a body that is not JSON, such as XML or a form, into an object whose values are strings, objects
	// (map[string]any), arrays ([]any) and nil. Its error fails the payload. nil: the body is JSON.
	Decode func(body []byte) (map[string]any, error)
	// Batch is the path of the array of events, for providers that send several in one body, such as "events". Convert is
	// called for each of them. Empty: the body is one event.
	Batch string
	// Refused is the status that answers a wrong signature; 0: 401.
	Refused int
	// Header is one that every webhook of the provider has. If it is missing, that is what a refusal says.
	Header string
	// SecretPrefix is how every signing secret of the provider begins, if they all do. If a secret does not, that is what
	// a refusal says.
	SecretPrefix string
	// Tolerance is how far the signed time stamp may be from now without WithTolerance; 0: 5 minutes.
	Tolerance time.Duration
}

// Check verifies the signature of a webhook with that body, which must be as it was received. The error wraps ErrSignature
// if the webhook is not the provider's.
func (v Provider) Check(h http.Header, body []byte, secret string, opts ...Option) error {
	return v.check(context.Background(), h, body, v.config(secret, opts))
}

// Events converts a payload whose signature was checked. It returns no event and no error for what is not money; Explain
// says why. The error is a *fprom.ValidationError if the payload cannot be read, else that of an option's lookup.
func (v Provider) Events(payload []byte, opts ...Option) ([]fprom.Event, error) {
	x := v.Explain(payload, opts...)
	if x.Err != nil {
		return nil, x.Err
	}
	return x.Events(), nil
}

// Explain converts a payload like Events, and tells which field each value came from, or why nothing is tracked. The
// signature is not checked.
func (v Provider) Explain(payload []byte, opts ...Option) Explanation {
	return v.ExplainContext(context.Background(), payload, opts...)
}

// ExplainContext is Explain with a context for the look-ups of WithCustomer and WithPayment.
func (v Provider) ExplainContext(ctx context.Context, payload []byte, opts ...Option) Explanation {
	return join(v.run(ctx, payload, v.config("", opts)))
}

// config applies opts to the provider's defaults.
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

// run converts the events of a body, of which there is at least one.
func (v Provider) run(ctx context.Context, payload []byte, c *config) []Explanation {
	root, err := v.decode(payload)
	if err != nil {
		return []Explanation{v.convert(ctx, nil, err, c)}
	}
	if v.Batch == "" {
		return []Explanation{v.convert(ctx, root, nil, c)}
	}
	var xs []Explanation
	for _, n := range (Node{v: root}).Each(v.Batch) {
		xs = append(xs, v.convert(ctx, n.v, nil, c))
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
func (v Provider) convert(ctx context.Context, root any, err error, c *config) Explanation {
	p := &Payload{ctx: ctx, config: c, out: Explanation{Provider: v.Name}}
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

// prefixed is an error with a prefix, which takes the place of the error's own.
type prefixed struct {
	prefix string
	err    error
}

func (e *prefixed) Error() string { return e.prefix + strings.TrimPrefix(e.err.Error(), "fprom: ") }
func (e *prefixed) Unwrap() error { return e.err }
