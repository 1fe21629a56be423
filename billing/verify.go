package billing

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verifier checks that a webhook comes from the provider. Its error wraps ErrSignature if it does not; any other error
// says that this cannot be told now, and is answered 503. It must be safe for concurrent use.
type Verifier func(context.Context, Delivery) error

// Delivery is a webhook as a Verifier sees it.
type Delivery struct {
	Header    http.Header
	Body      []byte        // as it was received; never empty
	Secrets   []string      // the signing secret, and those of a rotation: any of them is right; none is empty
	Tolerance time.Duration // how far a signed time stamp may be from now; 0 or less: any
}

// MatchHMAC reports whether one of signatures (raw bytes) is the HMAC-SHA256 of the concatenated message under one of
// the secrets. Every combination is compared, in constant time.
func (d Delivery) MatchHMAC(signatures [][]byte, message ...[]byte) bool {
	return matchHMAC(d.keys(), signatures, message...)
}

func (d Delivery) keys() [][]byte {
	keys := make([][]byte, len(d.Secrets))
	for i, s := range d.Secrets {
		keys[i] = []byte(s)
	}
	return keys
}

// MatchText reports whether text is one of the secrets, in constant time.
func (d Delivery) MatchText(text string) bool {
	got := sha256.Sum256([]byte(text)) // of one length, so that the comparison tells nothing
	ok := 0
	for _, s := range d.Secrets {
		want := sha256.Sum256([]byte(s))
		ok |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return ok == 1
}

// CheckTime refuses a signed time stamp (seconds since 1970) that is further from now than the tolerance, in either
// direction. Call it after the signature was found right.
func (d Delivery) CheckTime(unix string) error {
	sec, err := strconv.ParseInt(unix, 10, 64)
	if err != nil || sec < 0 || sec > 1<<40 {
		return &refusal{"time", "the time stamp is not a number"}
	}
	if d.Tolerance <= 0 {
		return nil
	}
	if age := time.Since(time.Unix(sec, 0)); age > d.Tolerance || age < -d.Tolerance {
		return &refusal{"time", "the time stamp is " + age.Round(time.Second).String() + " off: an old webhook again, or a clock that is wrong"}
	}
	return nil
}

// matchHMAC compares with every key. Empty keys never match.
func matchHMAC(keys, signatures [][]byte, message ...[]byte) bool {
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

// HMACSHA256 is for providers whose header is the HMAC-SHA256 of the body. decode reads the header's value, without
// white space around it: hex.DecodeString, or base64.StdEncoding.DecodeString.
func HMACSHA256(header string, decode func(string) ([]byte, error)) Verifier {
	return func(_ context.Context, d Delivery) error {
		signature, err := decode(strings.TrimSpace(d.Header.Get(header)))
		if err != nil || !d.MatchHMAC([][]byte{signature}, d.Body) {
			return fmt.Errorf("header %s: %w", header, ErrSignature)
		}
		return nil
	}
}

// Stamped describes a header like "t=<unix>,v1=<hex>[,v1=<hex>…]": one HMAC-SHA256 for each secret in use, over the time
// stamp, a joint, and the body.
type Stamped struct {
	Header           string
	Separator        string // of the parts
	Stamp, Signature string // the names of the parts
	Joint            string
}

// Verify is a Verifier.
func (s Stamped) Verify(_ context.Context, d Delivery) error {
	var stamp string
	var signatures [][]byte
	for part := range strings.SplitSeq(d.Header.Get(s.Header), s.Separator) {
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
	if !d.MatchHMAC(signatures, []byte(stamp), []byte(s.Joint), d.Body) {
		return fmt.Errorf("header %s: %w", s.Header, ErrSignature)
	}
	return d.CheckTime(stamp)
}

// StandardWebhooks checks the headers webhook-id, webhook-timestamp and webhook-signature of
// https://www.standardwebhooks.com. A secret is base64, with or without the prefix whsec_.
func StandardWebhooks(_ context.Context, d Delivery) error {
	var keys [][]byte
	for _, s := range d.Secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
		if err != nil {
			return &refusal{"secret-base64", "the signing secret is not base64: give the secret of the webhook, whsec_ included"}
		}
		keys = append(keys, key)
	}
	return standardWebhooks(d, keys)
}

// StandardWebhooksText is StandardWebhooks for providers that take the secret's characters for the key, not what they
// stand for in base64.
func StandardWebhooksText(_ context.Context, d Delivery) error {
	return standardWebhooks(d, d.keys())
}

// standardWebhooks: webhook-signature: v1,<base64>[ v1,<base64>…]; HMAC-SHA256 over "<id>.<timestamp>.<body>".
func standardWebhooks(d Delivery, keys [][]byte) error {
	id, stamp := d.Header.Get("Webhook-Id"), d.Header.Get("Webhook-Timestamp")
	var signatures [][]byte
	for part := range strings.FieldsSeq(d.Header.Get("Webhook-Signature")) {
		if value, ok := strings.CutPrefix(part, "v1,"); ok {
			if s, err := base64.StdEncoding.DecodeString(value); err == nil {
				signatures = append(signatures, s)
			}
		}
	}
	if !matchHMAC(keys, signatures, []byte(id+"."+stamp+"."), d.Body) {
		return fmt.Errorf("header Webhook-Signature: %w", ErrSignature)
	}
	return d.CheckTime(stamp)
}

// SharedSecret is for providers that send the secret itself in a header. It protects nothing that is sent without TLS.
func SharedSecret(header string) Verifier {
	return func(_ context.Context, d Delivery) error {
		if !d.MatchText(d.Header.Get(header)) {
			return fmt.Errorf("header %s: %w", header, ErrSignature)
		}
		return nil
	}
}

// BasicAuth is a Verifier for providers that send a user name and a password (HTTP basic authentication). The secret is
// "user:password", or the user name alone where there is no password. It protects nothing that is sent without TLS.
func BasicAuth(_ context.Context, d Delivery) error {
	r := http.Request{Header: d.Header}
	user, password, ok := r.BasicAuth()
	if !ok || !d.MatchText(user+":"+password) && (password != "" || !d.MatchText(user)) {
		return fmt.Errorf("header Authorization: %w", ErrSignature)
	}
	return nil
}
