package fpromtest

import (
	"context"
	"crypto"
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
	"math/big"
	"net/http"
	"sync"
	"time"
)

const payPalCert = "https://api.paypal.com/v1/notifications/certs/CERT-fpromtest"

// PayPalCertificates returns test certificates, because only PayPal has the private key for its own. Give them to
// paypal.WithCertificates:
//
//	handler := billing.Handler(tracker, paypal.Provider(paypal.WithCertificates(fpromtest.PayPalCertificates())), webhookID)
//
// Each process makes new ones: a service in another process refuses the signatures of this one.
func PayPalCertificates() (fetch func(ctx context.Context, url string) ([]byte, error), roots *x509.CertPool) {
	pki, err := payPal()
	if err != nil {
		return func(context.Context, string) ([]byte, error) { return nil, err }, x509.NewCertPool()
	}
	roots = x509.NewCertPool()
	roots.AddCert(pki.cert)
	return func(_ context.Context, url string) ([]byte, error) {
		if url != payPalCert {
			return nil, errors.New("fprom: the certificate is not one of the test's")
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pki.cert.Raw}), nil
	}, roots
}

type payPalPKI struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate // self-signed
}

var payPal = sync.OnceValues(func() (*payPalPKI, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "messageverificationcerts.paypal.com"},
		// valid also in synctest bubbles, whose time begins in 2000
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &payPalPKI{key, cert}, err
})

// signPayPal signs "<transmission id>|<time>|<webhook id>|<CRC-32 of the body>"; the secret is the webhook's id.
func signPayPal(h http.Header, body []byte, webhookID string, at time.Time) error {
	pki, err := payPal()
	if err != nil {
		return err
	}
	id, stamp := "fpromtest-1", at.UTC().Format(time.RFC3339)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%d", id, stamp, webhookID, crc32.ChecksumIEEE(body)))
	signature, err := rsa.SignPKCS1v15(rand.Reader, pki.key, crypto.SHA256, sum[:])
	if err != nil {
		return err
	}
	h.Set("Paypal-Auth-Algo", "SHA256withRSA")
	h.Set("Paypal-Cert-Url", payPalCert)
	h.Set("Paypal-Transmission-Id", id)
	h.Set("Paypal-Transmission-Time", stamp)
	h.Set("Paypal-Transmission-Sig", base64.StdEncoding.EncodeToString(signature))
	return nil
}
