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

// Verifier checks that a webhook is from the provider. If it is not, the error wraps ErrSignature. Any other error means that the
// check failed for now; the Handler answers 503. A Verifier must be safe for concurrent use.
type Verifier func(context.Context, Delivery) error

// Delivery is a webhook as a Verifier sees it.
type Delivery struct {
	Header    http.Header
	Body      []byte        // as it was received; never empty
	Secrets   []string      // the signing secret and those of WithSecrets: any of them may match; none is empty
	Tolerance time.Duration // how far a signed time stamp may be from now; 0 or less: any distance
}

// MatchHMAC reports whether one of the signatures (raw bytes) is the HMAC-SHA256 of the concatenated message with one of the
// secrets. It compares every pair in constant time.
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

// MatchText reports whether text is one of the secrets. It compares in constant time.
func (d Delivery) MatchText(text string) bool {
	got := sha256.Sum256([]byte(text)) // equal lengths, so that the time tells nothing about the secret
	ok := 0
	for _, s := range d.Secrets {
		want := sha256.Sum256([]byte(s))
		ok |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return ok == 1
}

// CheckTime returns an error if a signed time stamp (seconds since 1970) is further from now than the tolerance, before or after.
// Call it after the signature has matched.
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

// matchHMAC is MatchHMAC with keys. An empty key never matches.
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

// HMACSHA256 returns a Verifier for providers that send the HMAC-SHA256 of the body in a header. decode decodes the trimmed header:
// hex.DecodeString or base64.StdEncoding.DecodeString.
func HMACSHA256(header string, decode func(string) ([]byte, error)) Verifier {
	return func(_ context.Context, d Delivery) error {
		signature, err := decode(strings.TrimSpace(d.Header.Get(header)))
		if err != nil || !d.MatchHMAC([][]byte{signature}, d.Body) {
			return fmt.Errorf("header %s: %w", header, ErrSignature)
		}
		return nil
	}
}

// Stamped describes a header such as "t=<unix>,v1=<hex>[,v1=<hex>…]". Each v1 is the HMAC-SHA256 of time stamp, Joint and body, with
// one of the provider's current secrets.
type Stamped struct {
	Header           string
	Separator        string // between the parts, such as ","
	Stamp, Signature string // the names of the parts, such as "t" and "v1"
	Joint            string // between time stamp and body, such as "."
}

// Verify is the Verifier for the header.
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

// StandardWebhooks is a Verifier for https://www.standardwebhooks.com (headers webhook-id, webhook-timestamp and webhook-signature).
// The secret is base64, with or without the prefix whsec_.
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

// StandardWebhooksText is StandardWebhooks for providers that use the text of the secret as the key and do not decode base64.
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

// SharedSecret returns a Verifier for providers that send the secret itself in a header. It is safe only over TLS.
func SharedSecret(header string) Verifier {
	return func(_ context.Context, d Delivery) error {
		if !d.MatchText(d.Header.Get(header)) {
			return &refusal{mismatch, "header " + header + ": it is not the secret: give all of the text that is entered at the provider, also a word before it"}
		}
		return nil
	}
}

// BasicAuth is a Verifier for HTTP basic authentication. The secret is "user:password", or only "user" if there is no password. It
// is safe only over TLS.
func BasicAuth(_ context.Context, d Delivery) error {
	r := http.Request{Header: d.Header}
	user, password, _ := r.BasicAuth()
	if user+password == "" || !d.MatchText(user+":"+password) && (password != "" || !d.MatchText(user)) {
		return &refusal{mismatch, "header Authorization: it does not have this user and password: give both as they are entered at the provider, with a colon between them"}
	}
	return nil
}
