package paypal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/paypal"
)

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	body := []byte("{}")
	set := func(name, value string) func(http.Header, *files) {
		return func(h http.Header, _ *files) { h.Set(name, value) }
	}
	at := func(address string) func(http.Header, *files) { // the right certificate is there
		return func(h http.Header, f *files) {
			h.Set("Paypal-Cert-Url", address)
			f.byURL[address] = ca().leaf
		}
	}
	expired := x509.Certificate{
		DNSNames: []string{"messageverificationcerts.paypal.com"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0),
	}
	for _, tt := range []struct {
		name   string
		change func(http.Header, *files)
		ok     bool
		says   string // in the error
	}{
		{name: "nothing", change: func(http.Header, *files) {}, ok: true},
		{name: "sandbox host", change: at("https://api.sandbox.paypal.com/cert"), ok: true},
		{name: "port of https", change: at("https://api.paypal.com:443/cert"), ok: true},
		{name: "chain served", change: func(_ http.Header, f *files) {
			f.byURL = map[string][]byte{certURL: append(slices.Clone(ca().leaf), toPEM(ca().intermediate)...)}
		}, ok: true},
		{name: "id", change: set("Paypal-Transmission-Id", "another")},
		{name: "no id", change: set("Paypal-Transmission-Id", "")},
		{name: "time", change: set("Paypal-Transmission-Time", time.Now().UTC().Add(-time.Hour).Format(time.RFC3339))},
		{name: "no time", change: set("Paypal-Transmission-Time", ""), says: "PAYPAL-TRANSMISSION-TIME"},
		{name: "algorithm", change: set("Paypal-Auth-Algo", "SHA1withRSA")},
		{name: "no algorithm", change: set("Paypal-Auth-Algo", "")},
		{name: "signature", change: set("Paypal-Transmission-Sig", "AAAA")},
		{name: "no signature", change: set("Paypal-Transmission-Sig", "")},
		{name: "not base64", change: set("Paypal-Transmission-Sig", "!"), says: "PAYPAL-TRANSMISSION-SIG"},
		{name: "no address", change: set("Paypal-Cert-Url", "")},
		{name: "http", change: at(strings.Replace(certURL, "https", "http", 1))},
		{name: "file", change: at("file:///etc/passwd")},
		{name: "another host", change: at("https://paypal.example.com/cert")},
		{name: "a host that begins alike", change: at("https://api.paypal.com.example.com/cert")},
		{name: "a host that ends alike", change: at("https://notpaypal.com/cert")},
		{name: "user", change: at("https://api.paypal.com@example.com/cert")},
		{name: "user at PayPal", change: at("https://me@api.paypal.com/cert")},
		{name: "not an address", change: at("https://api.paypal.com/%zz")},
		{name: "port", change: at("https://api.paypal.com:8443/cert")},
		{name: "an IP address with such a zone", change: at("https://[::1%25.paypal.com]/cert")},
		{name: "long address", change: at(certURL + strings.Repeat("0", 500))},
		{name: "no such certificate", change: set("Paypal-Cert-Url", certURL+"0")},
		{name: "no certificate", change: func(_ http.Header, f *files) { f.byURL[certURL] = []byte("<html>") }},
		{name: "empty", change: func(_ http.Header, f *files) { f.byURL[certURL] = nil }},
		{name: "another name", change: func(_ http.Header, f *files) {
			f.byURL[certURL] = ca().issue(x509.Certificate{DNSNames: []string{"messageverificationcerts.paypal.com.example.com"}})
		}},
		{name: "the name of another service of PayPal's", change: func(_ http.Header, f *files) {
			f.byURL[certURL] = ca().issue(x509.Certificate{DNSNames: []string{"shop.paypal.com"}})
		}},
		{name: "expired", change: func(_ http.Header, f *files) { f.byURL[certURL] = ca().issue(expired) }},
		{name: "no issuer", change: func(_ http.Header, f *files) { delete(f.byURL, issuerURL) }},
		{name: "issuer is none", change: func(_ http.Header, f *files) { f.byURL[issuerURL] = []byte("<html>") }},
		{name: "issuers without end", change: func(_ http.Header, f *files) { f.byURL[issuerURL] = ca().leaf }},
		{name: "another root", change: func(_ http.Header, f *files) { f.byURL = selfMade(t) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, f := http.Header{}, served()
			signRequest(h, body, "4JH86294D6297924G")
			tt.change(h, f)
			err := paypal.Provider(f.option()).Check(h, body, "4JH86294D6297924G")
			if (err == nil) != tt.ok || err != nil && (!errors.Is(err, billing.ErrSignature) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v, want success: %t, and %q", err, tt.ok, tt.says)
			}
		})
	}
}

// selfMade is a chain for the same key that ends at a root which nobody trusts.
func selfMade(t *testing.T) map[string][]byte {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	root := sign(&x509.Certificate{Subject: pkix.Name{CommonName: "Evil Root"}, IsCA: true}, nil, &key.PublicKey, key)
	leaf := sign(&x509.Certificate{DNSNames: []string{"messageverificationcerts.paypal.com"}}, root, &ca().key.PublicKey, key)
	return map[string][]byte{certURL: toPEM(leaf, root)}
}

// A message that PayPal's webhook simulator signed in 2024 (it signs for the webhook id WEBHOOK_ID), with the
// certificate that PayPal served for it.
func TestSimulatorMessage(t *testing.T) {
	t.Parallel()
	body, served := billingtest.Read(t, "simulator/body"), billingtest.Read(t, "simulator/cert.pem")
	block, _ := pem.Decode(served)
	trusted := x509.NewCertPool()
	trusted.AddCert(must(x509.ParseCertificate(block.Bytes)))
	const url = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1a5f47cb"
	opt := paypal.WithCertificates((&files{byURL: map[string][]byte{url: served}}).fetch, trusted)
	h := http.Header{}
	h.Set("Paypal-Transmission-Id", "51730200-5106-11ef-9a30-157053fd3e43")
	h.Set("Paypal-Transmission-Time", "2024-08-02T19:35:04Z")
	h.Set("Paypal-Cert-Url", url)
	h.Set("Paypal-Auth-Algo", "SHA256withRSA")
	h.Set("Paypal-Transmission-Sig", "ff31fhZxoix1VbYc2wPp991eiUBdhALb71NFSq8VOMkbaBdx3Gm4lFZmQDL/lUXl4rImLjUdDvBMp4DOCN7T5WmyY7G88yzMJJCngENSA7+r1NXweP+TLy5/jyGoNU2j3VEUSr9gwNF1tKrCpixnJbzwTA7tI8s4c53xfdtPuYKd4KNjH7jRQXt/YH+sR9hwNZTPWpIUm1LrdGFxCH1iHoM5/mO1E7EngRuTf8zYAFIJE/vBcY2dLoD2gTJPfLbo5D+KSSMqgrD+xuCPJtZnQjP9QbA0rUAenRYAbRxPh2u3dLTiAaRMP7mZBI4d9ecPkdk0HgtUAPVhJTTBmx+Lag==")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2024, 8, 2, 19, 35, 5, 0, time.UTC)))
		if err := paypal.Provider(opt).Check(h, body, "WEBHOOK_ID"); err != nil {
			t.Error(err)
		}
		if err := paypal.Provider(opt).Check(h, body, "4JH86294D6297924G"); !errors.Is(err, billing.ErrSignature) {
			t.Errorf("for another webhook: got %v, want ErrSignature", err)
		}
		if err := paypal.Provider(opt).Check(h, append(body, '\n'), "WEBHOOK_ID"); !errors.Is(err, billing.ErrSignature) {
			t.Errorf("with another body: got %v, want ErrSignature", err)
		}
		time.Sleep(4 * 24 * time.Hour)
		if err := paypal.Provider(opt).Check(h, body, "WEBHOOK_ID"); !errors.Is(err, billing.ErrSignature) {
			t.Errorf("after four days: got %v, want ErrSignature", err)
		}
	})
}

func TestTransmissionTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		age  time.Duration
		opts []billing.Option
		ok   bool
	}{
		{name: "the last retry", age: 3 * 24 * time.Hour, ok: true},
		{name: "a replay", age: 4*24*time.Hour + time.Second},
		{name: "narrower", age: 2 * time.Minute, opts: []billing.Option{billing.WithTolerance(time.Minute)}},
		{name: "as narrow as others", age: 6 * time.Minute, opts: []billing.Option{billing.WithTolerance(5 * time.Minute)}},
		{name: "any", age: 1000 * time.Hour, opts: []billing.Option{billing.WithTolerance(0)}, ok: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := http.Header{}
				signRequest(h, []byte("{}"), "id")
				time.Sleep(tt.age)
				err := suite.Provider.Check(h, []byte("{}"), "id", tt.opts...)
				if (err == nil) != tt.ok || err != nil && !errors.Is(err, billing.ErrSignature) {
					t.Errorf("got %v, want success: %t", err, tt.ok)
				}
			})
		})
	}
}
