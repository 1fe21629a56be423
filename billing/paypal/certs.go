package paypal

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/fprom-go/fprom/billing"
)

const (
	maxCerts     = 64               // certificates and failures remembered; PayPal uses a few a year
	maxCertBytes = 64 << 10         // of one answer
	fetchTimeout = 10 * time.Second // of one certificate and its issuers
	badFor       = time.Minute      // a failure is not tried again for so long
	maxIssuers   = 3                // intermediate certificates that are fetched for one
)

// WithCertificates replaces how certificates are fetched and which roots are trusted; nil keeps the default: https, no
// redirects, 10 s; the roots of the system. fetch is asked for PAYPAL-CERT-URL, always https at a host under
// paypal.com, and for the addresses of the authorities that issued what it returned, in PEM or DER. Its error makes the
// Handler answer 503, so that PayPal tries again, or 400 if it wraps billing.ErrSignature. Certificates are
// kept by the option: make it once and use it for all calls. It is safe for concurrent use if fetch is.
func WithCertificates(fetch func(ctx context.Context, url string) ([]byte, error), roots *x509.CertPool) Option {
	store := newCertStore(fetch, roots)
	return func(s *settings) { s.certificates = store }
}

var defaultCertificates = newCertStore(nil, nil)

// certStore fetches, checks and keeps signing certificates.
type certStore struct {
	fetch    func(ctx context.Context, url string) ([]byte, error)
	roots    *x509.CertPool
	fetching chan struct{} // held by the one who fetches

	mu    sync.Mutex
	known map[string]known
}

// known is a checked certificate, or why there is none.
type known struct {
	cert  *x509.Certificate
	err   error
	until time.Time
}

func newCertStore(fetch func(context.Context, string) ([]byte, error), roots *x509.CertPool) *certStore {
	if fetch == nil {
		fetch = fetchCertificate
	}
	return &certStore{fetch: fetch, roots: roots, fetching: make(chan struct{}, 1), known: map[string]known{}}
}

// get is the certificate at address, checked.
func (s *certStore) get(ctx context.Context, address string) (*x509.Certificate, error) {
	if k, ok := s.lookup(address); ok {
		return k.cert, k.err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	select {
	case s.fetching <- struct{}{}: // one at a time: forged requests must not open many connections
		defer func() { <-s.fetching }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the certificate of PayPal: %w", ctx.Err())
	}
	if k, ok := s.lookup(address); ok { // fetched meanwhile
		return k.cert, k.err
	}
	cert, err := s.load(ctx, address)
	k := known{cert: cert, err: err, until: time.Now().Add(badFor)}
	if err == nil {
		k.until = cert.NotAfter
	} else if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, err // the request ended: this says nothing about the address
	}
	s.keep(address, k)
	return cert, err
}

func (s *certStore) lookup(address string) (known, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.known[address]
	return k, ok && time.Now().Before(k.until)
}

// keep stores k. Failures make room first: anybody can cause them.
func (s *certStore) keep(address string, k known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxCerts {
		for a, old := range s.known {
			if old.err != nil || !time.Now().Before(old.until) {
				delete(s.known, a)
			}
		}
	}
	if len(s.known) >= maxCerts {
		clear(s.known)
	}
	s.known[address] = k
}

// load fetches the certificate and checks that it is PayPal's.
func (s *certStore) load(ctx context.Context, address string) (*x509.Certificate, error) {
	b, err := s.fetch(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("fetch the certificate of PayPal: %w", err)
	}
	certs, err := parseCertificates(b)
	if err != nil {
		return nil, fmt.Errorf("%w: what PAYPAL-CERT-URL holds: %w", billing.ErrSignature, err)
	}
	leaf, pool := certs[0], x509.NewCertPool()
	for _, c := range certs[1:] {
		pool.AddCert(c)
	}
	if !named(leaf) {
		return nil, fmt.Errorf("%w: the certificate is not issued to a name under paypal.com", billing.ErrSignature)
	}
	if err := s.check(ctx, leaf, pool); err != nil {
		return nil, err
	}
	return leaf, nil
}

// check verifies the chain from leaf to a root, fetching the certificates between where they were not served.
func (s *certStore) check(ctx context.Context, leaf *x509.Certificate, pool *x509.CertPool) error {
	top := leaf
	for fetched := 0; ; fetched++ {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: s.roots, Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		var unknown x509.UnknownAuthorityError
		switch {
		case err == nil:
			return nil
		case errors.As(err, new(x509.SystemRootsError)):
			return fmt.Errorf("check the certificate of PayPal: %w", err)
		case !errors.As(err, &unknown) || fetched == maxIssuers || len(top.IssuingCertificateURL) == 0:
			return fmt.Errorf("%w: the certificate: %w", billing.ErrSignature, err)
		}
		b, err := s.fetch(ctx, top.IssuingCertificateURL[0])
		if err != nil {
			return fmt.Errorf("fetch the issuer of PayPal's certificate: %w", err)
		}
		issuers, err := parseCertificates(b)
		if err != nil {
			return fmt.Errorf("%w: the issuer of the certificate: %w", billing.ErrSignature, err)
		}
		top = issuers[0]
		pool.AddCert(top)
	}
}

func named(c *x509.Certificate) bool {
	return underPayPal(c.Subject.CommonName) || slices.ContainsFunc(c.DNSNames, underPayPal)
}

// parseCertificates reads PEM or DER; there is at least one certificate.
func parseCertificates(b []byte) ([]*x509.Certificate, error) {
	var der []byte
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			der = append(der, block.Bytes...)
		}
	}
	if len(der) == 0 {
		der = b
	}
	certs, err := x509.ParseCertificates(der)
	if err == nil && len(certs) == 0 {
		err = errors.New("there is no certificate")
	}
	return certs, err
}

var certClient = &http.Client{
	Timeout:       fetchTimeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// fetchCertificate is the default way. The issuers are at http addresses, as usual: what is read there is checked
// against the roots.
func fetchCertificate(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := certClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK:
		return io.ReadAll(io.LimitReader(res.Body, maxCertBytes))
	case res.StatusCode < http.StatusInternalServerError && res.StatusCode != http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: %s answers %s", billing.ErrSignature, url, res.Status)
	default:
		return nil, fmt.Errorf("%s answers %s", url, res.Status)
	}
}
