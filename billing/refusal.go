package billing

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// ErrSignature is wrapped by the errors of Check that mean that a webhook is not from the provider.
var ErrSignature = errors.New("the signature is wrong")

// ErrStray is wrapped, besides ErrSignature, by the error of a request that lacks the provider's header (Provider.Header): so it is not
// the provider's. Scanners send such requests all day. The other refusals need a look.
var ErrStray = errors.New("the request is not the provider's")

// refusal says why a webhook is not accepted as the provider's. reason is one word for the log.
type refusal struct{ reason, text string }

// mismatch is the reason if nothing is wrong but that the secret does not match.
const mismatch = "mismatch"

func (e *refusal) Error() string { return e.text }
func (e *refusal) Unwrap() error { return ErrSignature }

// stray is a refusal that wraps ErrStray, too.
type stray struct{ *refusal }

func (e stray) Unwrap() []error { return []error{e.refusal, ErrStray} }

// stray returns r, which wraps ErrStray if the request lacks the provider's header.
func (v Provider) stray(h http.Header, r *refusal) error {
	if h.Get(v.Header) == "" {
		return stray{r}
	}
	return r
}

// refuse returns the error of a webhook that cannot be verified at all, such as one without the header.
func (v Provider) refuse(h http.Header, body []byte, c *config) error {
	switch {
	case v.Verify == nil:
		return &refusal{"no-verify", "Provider.Verify is nil: nothing can be checked"}
	case v.Header != "" && h.Get(v.Header) == "":
		return v.stray(h, &refusal{"no-header", "the header " + v.Header + " is missing: the request is not the provider's, or a proxy took it away"})
	case slices.Contains(c.secrets, ""):
		return &refusal{"no-secret", "a signing secret is empty: give the secret of the webhook"}
	case len(body) == 0:
		return &refusal{"empty-body", "the body is empty: does a middleware read it before the handler?"}
	}
	return nil
}

// mismatch adds the likely cause to the error of Verify.
func (v Provider) mismatch(err error, c *config) error {
	r := new(refusal)
	switch {
	case !errors.As(err, &r):
		r = &refusal{mismatch, err.Error() + ": is the secret that of this webhook, and does the body arrive unchanged?"}
	case r.reason != mismatch: // it has nothing to do with the secret
		return err
	}
	for _, s := range c.secrets {
		switch {
		case strings.TrimSpace(s) != s:
			return &refusal{"secret-space", "the signing secret has white space around it: take it away"}
		case !strings.HasPrefix(s, v.SecretPrefix):
			return &refusal{"secret-prefix", "the signing secret does not begin with " + v.SecretPrefix + ": is it the webhook's, and not an API key?"}
		}
	}
	return r
}
