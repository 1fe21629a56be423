package fpromtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// signer sets the headers of a provider's signature of body.
type signer func(h http.Header, body []byte, secret string, at time.Time) error

var signers = map[string]signer{
	"chargebee":    signBasic,
	"creem":        signed("Creem-Signature", hex.EncodeToString),
	"dodo":         signedStandard(whsec),
	"fastspring":   signed("X-Fs-Signature", base64.StdEncoding.EncodeToString),
	"lemonsqueezy": signed("X-Signature", hex.EncodeToString),
	"paddle":       signedAt("Paddle-Signature", "ts=%s;h1=%s", ":"),
	"paypal":       signPayPal,
	"polar":        signedStandard(asText),
	"razorpay":     signed("X-Razorpay-Signature", hex.EncodeToString),
	"recurly":      signBasic,
	"revenuecat":   signRevenueCat,
	"stripe":       signedAt("Stripe-Signature", "t=%s,v1=%s", "."),
	"whop":         signedStandard(asText),
}

// SignWebhook sets the headers of the provider's signature of body at a time. secret is the secret of the endpoint; for PayPal it is
// the webhook's id.
func SignWebhook(provider string, h http.Header, body []byte, secret string, at time.Time) error {
	sign, ok := signers[provider]
	if !ok {
		return fmt.Errorf("fprom: cannot sign a webhook of %q: known are %s", provider, strings.Join(WebhookProviders(), ", "))
	}
	return sign(h, body, secret, at)
}

// WebhookProviders lists the providers that SignWebhook knows, sorted.
func WebhookProviders() []string {
	var out []string
	for name := range signers {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func mac(key []byte, message ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, s := range message {
		m.Write([]byte(s))
	}
	return m.Sum(nil)
}

// signed signs with a header that contains the HMAC of the body.
func signed(header string, encode func([]byte) string) signer {
	return func(h http.Header, body []byte, secret string, _ time.Time) error {
		h.Set(header, encode(mac([]byte(secret), string(body))))
		return nil
	}
}

// signedAt signs with a header that contains the time and the HMAC of time and body. format is the form of the header.
func signedAt(header, format, joint string) signer {
	return func(h http.Header, body []byte, secret string, at time.Time) error {
		stamp := strconv.FormatInt(at.Unix(), 10)
		h.Set(header, fmt.Sprintf(format, stamp, hex.EncodeToString(mac([]byte(secret), stamp, joint, string(body)))))
		return nil
	}
}

// asText returns the key of Standard Webhooks for providers that do not decode the secret.
func asText(secret string) ([]byte, error) { return []byte(secret), nil }

// whsec returns the key of Standard Webhooks: base64 after whsec_.
func whsec(secret string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
}

// signedStandard signs by Standard Webhooks (https://www.standardwebhooks.com).
func signedStandard(key func(secret string) ([]byte, error)) signer {
	return func(h http.Header, body []byte, secret string, at time.Time) error {
		k, err := key(secret)
		if err != nil {
			return fmt.Errorf("fprom: the signing secret is not base64: %w", err)
		}
		id, stamp := "msg_"+hex.EncodeToString(mac(nil, string(body))[:8]), strconv.FormatInt(at.Unix(), 10)
		h.Set("Webhook-Id", id)
		h.Set("Webhook-Timestamp", stamp)
		h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac(k, id, ".", stamp, ".", string(body))))
		return nil
	}
}

// signRevenueCat sets both headers of RevenueCat; an endpoint checks one of them.
func signRevenueCat(h http.Header, body []byte, secret string, at time.Time) error {
	h.Set("Authorization", secret)
	return signedAt("X-RevenueCat-Webhook-Signature", "t=%s,v1=%s", ".")(h, body, secret, at)
}

// signBasic sets basic authentication. The secret is "user:password", or "user" alone.
func signBasic(h http.Header, _ []byte, secret string, _ time.Time) error {
	user, password, _ := strings.Cut(secret, ":")
	r := http.Request{Header: h}
	r.SetBasicAuth(user, password)
	return nil
}
