package convert

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrSignature is wrapped by every error of a check that says: this request is not from the provider.
var ErrSignature = errors.New("the signature is missing or wrong; check the signing secret, and that the body is passed on unchanged")

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
		return fmt.Errorf("%w: the time stamp is not a number", ErrSignature)
	}
	if c.Tolerance <= 0 {
		return nil
	}
	if age := time.Since(time.Unix(sec, 0)); age > c.Tolerance || age < -c.Tolerance {
		return fmt.Errorf("%w: the time stamp is %s off: a replay, or a clock that is wrong", ErrSignature, age.Round(time.Second))
	}
	return nil
}
