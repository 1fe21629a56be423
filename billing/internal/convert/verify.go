package convert

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrSignature is wrapped by every error of a check that says: this request is not from the provider.
var ErrSignature = errors.New("the signature is wrong")

// refusal is why a request is taken for one that is not the provider's.
type refusal struct{ reason, text string }

func (e *refusal) Error() string { return e.text }
func (e *refusal) Unwrap() error { return ErrSignature }

const reasonTime = "time"

// refuse says what is wrong with a request that Verify would refuse, as far as that can be told before.
func (v Provider) refuse(h http.Header, body []byte, c *Config) error {
	switch {
	case slices.Contains(c.Secrets, ""):
		return &refusal{"no-secret", "a signing secret is empty: give the secret of the webhook"}
	case v.Header != "" && h.Get(v.Header) == "":
		return &refusal{"no-header", "the header " + v.Header + " is missing: the request is not the provider's, or a proxy took it away"}
	case len(body) == 0:
		return &refusal{"empty-body", "the body is empty: does a middleware read it before the handler?"}
	}
	return nil
}

// mismatch says why Verify may have refused with err.
func (v Provider) mismatch(err error, c *Config) error {
	if r := new(refusal); errors.As(err, &r) {
		return err
	}
	for _, s := range c.Secrets {
		switch {
		case strings.TrimSpace(s) != s:
			return &refusal{"secret-space", "the signing secret has white space around it: take it away"}
		case !strings.HasPrefix(s, v.SecretPrefix):
			return &refusal{"secret-prefix", "the signing secret does not begin with " + v.SecretPrefix + ": is it the webhook's, and not an API key?"}
		}
	}
	return &refusal{"mismatch", err.Error() + ": is the secret that of this webhook, and does the body arrive unchanged?"}
}

// MatchHMAC reports whether one of signatures (raw bytes) is the HMAC-SHA256 of the concatenated message under one of
// keys. Every combination is compared, in constant time. Empty keys never match.
func MatchHMAC(keys, signatures [][]byte, message ...[]byte) bool {
	ok := 0
	for _, key := range keys {
		if len(key) == 0 {
			continue
		}
		mac := hmac.New(sha256.New, key)
		for _, m := range message {
			mac.Write(m)
		}
		sum := mac.Sum(nil)
		for _, s := range signatures {
			ok |= subtle.ConstantTimeCompare(sum, s)
		}
	}
	return ok == 1
}

// SecretKeys are the secrets as they are, as keys for MatchHMAC.
func (c *Config) SecretKeys() [][]byte {
	keys := make([][]byte, len(c.Secrets))
	for i, s := range c.Secrets {
		keys[i] = []byte(s)
	}
	return keys
}

// Stamped is a header like "t=<unix>,v1=<hex>[,v1=<hex>…]": one HMAC-SHA256 for each secret in use, over the time stamp, a
// joint, and the body.
type Stamped struct {
	Header           string
	Separator        string // of the parts
	Stamp, Signature string // the names of the parts
	Joint            string
}

// Verify checks the header in h against body and the time stamp in it against now.
func (s Stamped) Verify(h http.Header, body []byte, c *Config) error {
	var stamp string
	var signatures [][]byte
	for part := range strings.SplitSeq(h.Get(s.Header), s.Separator) {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case s.Stamp:
			stamp = value
		case s.Signature:
			if b, err := hex.DecodeString(value); err == nil {
				signatures = append(signatures, b)
			}
		}
	}
	if !MatchHMAC(c.SecretKeys(), signatures, []byte(stamp), []byte(s.Joint), body) {
		return fmt.Errorf("header %s: %w", s.Header, ErrSignature)
	}
	return c.CheckTime(stamp)
}

// CheckTime refuses a signed time stamp (seconds since 1970) that is further from now than the tolerance, in either
// direction. A tolerance ≤ 0 accepts all.
func (c *Config) CheckTime(unix string) error {
	sec, err := strconv.ParseInt(unix, 10, 64)
	if err != nil || sec < 0 || sec > 1<<40 {
		return &refusal{reasonTime, "the time stamp is not a number"}
	}
	if c.Tolerance <= 0 {
		return nil
	}
	if age := time.Since(time.Unix(sec, 0)); age > c.Tolerance || age < -c.Tolerance {
		return &refusal{reasonTime, "the time stamp is " + age.Round(time.Second).String() + " off: an old webhook again, or a clock that is wrong"}
	}
	return nil
}
