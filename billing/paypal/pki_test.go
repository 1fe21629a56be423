package paypal_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/paypal"
)

const (
	certURL   = "https://api.paypal.com/v1/notifications/certs/CERT-1"
	issuerURL = "http://ca.example.com/intermediate.crt"
)

// authority is a root, an intermediate authority, and the signing certificate that stands in for PayPal's.
type authority struct {
	roots        *x509.CertPool
	rootKey      *ecdsa.PrivateKey
	root         *x509.Certificate
	intermediate *x509.Certificate
	interKey     *ecdsa.PrivateKey
	key          *rsa.PrivateKey
	leaf         []byte // PEM, alone, as PayPal serves it
}

var ca = sync.OnceValue(func() *authority {
	a := &authority{roots: x509.NewCertPool()}
	a.rootKey, a.interKey = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	a.key = must(rsa.GenerateKey(rand.Reader, 2048))
	a.root = sign(&x509.Certificate{Subject: pkix.Name{CommonName: "Test Root"}, IsCA: true}, nil, &a.rootKey.PublicKey, a.rootKey)
	a.roots.AddCert(a.root)
	a.intermediate = sign(&x509.Certificate{Subject: pkix.Name{CommonName: "Test Intermediate"}, IsCA: true}, a.root, &a.interKey.PublicKey, a.rootKey)
	a.leaf = a.issue(x509.Certificate{DNSNames: []string{"messageverificationcerts.paypal.com"}})
	return a
})

// issue makes a signing certificate of a.key.
func (a *authority) issue(template x509.Certificate) []byte {
	template.IssuingCertificateURL = []string{issuerURL}
	return toPEM(sign(&template, a.intermediate, &a.key.PublicKey, a.interKey))
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	template.SerialNumber = must(rand.Int(rand.Reader, big.NewInt(1<<62)))
	if template.NotAfter.IsZero() { // also valid in the bubbles of synctest, whose time begins in 2000
		template.NotBefore, template.NotAfter = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if template.BasicConstraintsValid = template.IsCA; template.IsCA {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	if parent == nil {
		parent = template
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, public, key))))
}

func toPEM(certs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// files answers what WithCertificates asks for, and counts.
type files struct {
	mu    sync.Mutex
	byURL map[string][]byte
	err   error
	down  string // this address answers errDown
	takes time.Duration
	asked []string
}

func (f *files) fetch(_ context.Context, url string) ([]byte, error) {
	time.Sleep(f.takes)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, url)
	switch {
	case f.err != nil:
		return nil, f.err
	case f.down == url:
		return nil, errDown
	}
	b, ok := f.byURL[url]
	if !ok {
		return nil, fmt.Errorf("%w: no such certificate", billing.ErrSignature)
	}
	return b, nil
}

// RoundTrip is fetch by HTTP.
func (f *files) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := f.fetch(r.Context(), r.URL.String())
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(b))}, err
}

// served is what PayPal serves: the certificate without the one of its issuer, which is at the issuer's.
func served() *files {
	return &files{byURL: map[string][]byte{certURL: ca().leaf, issuerURL: ca().intermediate.Raw}}
}

func (f *files) option() paypal.Option { return paypal.WithCertificates(f.fetch, ca().roots) }

// hanging is option, but that the fetch of addresses with this prefix hangs.
func (f *files) hanging(prefix string) paypal.Option {
	return paypal.WithCertificates(func(ctx context.Context, url string) ([]byte, error) {
		if strings.HasPrefix(url, prefix) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return f.fetch(ctx, url)
	}, ca().roots)
}

// signRequest signs as PayPal does.
func signRequest(h http.Header, body []byte, webhookID string) {
	now := time.Now().UTC().Format(time.RFC3339)
	h.Set("Paypal-Transmission-Id", "dfb3be50-fd74-11e4-8bf3-77339302725b")
	h.Set("Paypal-Transmission-Time", now)
	h.Set("Paypal-Cert-Url", certURL)
	h.Set("Paypal-Auth-Algo", "SHA256withRSA")
	message := fmt.Sprintf("dfb3be50-fd74-11e4-8bf3-77339302725b|%s|%s|%d", now, webhookID, crc32.ChecksumIEEE(body))
	sum := sha256.Sum256([]byte(message))
	h.Set("Paypal-Transmission-Sig", base64.StdEncoding.EncodeToString(must(rsa.SignPKCS1v15(rand.Reader, ca().key, crypto.SHA256, sum[:]))))
}

var errDown = errors.New("network is down")
