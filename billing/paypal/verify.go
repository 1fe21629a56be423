package paypal

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom/billing"
)

// verify checks PAYPAL-TRANSMISSION-SIG, the base64 of a SHA256withRSA signature over
// "<transmission id>|<transmission time>|<webhook id>|<CRC-32 of the body, decimal>".
func (s settings) verify(ctx context.Context, d billing.Delivery) error {
	h := d.Header
	refuse := func(reason string) error { return fmt.Errorf("%w: %s", billing.ErrSignature, reason) }
	if algo := h.Get("Paypal-Auth-Algo"); !strings.EqualFold(algo, "SHA256withRSA") {
		return refuse("header PAYPAL-AUTH-ALGO is not SHA256withRSA")
	}
	signature, _ := base64.StdEncoding.DecodeString(h.Get("Paypal-Transmission-Sig"))
	if len(signature) == 0 {
		return refuse("header PAYPAL-TRANSMISSION-SIG is not base64")
	}
	stamp := h.Get("Paypal-Transmission-Time")
	sent, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return refuse("header PAYPAL-TRANSMISSION-TIME is missing or not a time")
	}
	if err := d.CheckTime(strconv.FormatInt(sent.Unix(), 10)); err != nil {
		return err
	}
	address, err := certAddress(h.Get("Paypal-Cert-Url"))
	if err != nil {
		return refuse("header PAYPAL-CERT-URL " + err.Error())
	}
	cert, err := s.certificates.get(ctx, address)
	if err != nil {
		return err
	}
	sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(d.Body)), 10)
	for _, webhookID := range d.Secrets {
		message := h.Get("Paypal-Transmission-Id") + "|" + stamp + "|" + webhookID + "|" + sum
		if cert.CheckSignature(x509.SHA256WithRSA, []byte(message), signature) == nil {
			return nil
		}
	}
	return refuse("the secret must be the id of the webhook in PayPal's dashboard")
}

// certAddress returns raw if it is an https address of PayPal. Anyone can send any address.
func certAddress(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > 500:
		return "", errors.New("is not an address")
	case u.Scheme != "https" || u.User != nil:
		return "", errors.New("is not a plain https address")
	case !underPayPal(strings.TrimSuffix(u.Host, ":443")): // not Hostname, since an IPv6 address can have a zone of any name
		return "", errors.New("is not at paypal.com, or has another port")
	}
	return raw, nil
}

func underPayPal(name string) bool {
	return strings.HasSuffix(strings.ToLower(name), ".paypal.com")
}
