package paypal

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fprom-go/fprom/billing"
)

const (
	maxCerts     = 64               // certificates and failures that are kept; PayPal uses a few a year
	maxCertBytes = 64 << 10         // of one response
	fetchTimeout = 10 * time.Second // for one certificate and its issuers
	badFor       = time.Minute      // how long a failure is kept
	maxIssuers   = 3                // intermediate certificates to fetch for one certificate
	usualAddress = "https://api.paypal.com/v1/notifications/certs/"
)

// WithCertificates replaces the fetching of certificates and the trusted roots. Nil keeps the default: https, no redirects, 10 s;
// the roots of the system. fetch gets PAYPAL-CERT-URL, which is always https at a host under paypal.com, and the addresses of the
// issuers in the certificates. It returns PEM or DER. If it returns an error, the Handler answers 503, and PayPal tries again; if the
// error wraps billing.ErrSignature, the answer is 400. The option keeps the certificates: make it once and use it for all calls. It
// is safe for concurrent use if fetch is.
func WithCertificates(fetch func(ctx context.Context, url string) ([]byte, error), roots *x509.CertPool) Option {
	store := newCertStore(fetch, roots)
	return func(s *settings) { s.certificates = store }
}

var defaultCertificates = newCertStore(nil, nil)

// certStore fetches, checks and keeps signing certificates.
type certStore struct {
	fetch func(ctx context.Context, url string) ([]byte, error)
	roots *x509.CertPool
	// Locks that honour a context. Of the addresses with the same lock one goroutine fetches at a time. The usual ones, which anyone can
	// forge, share 64 by a hash that nobody can foresee. All others share one, since any paypal.com host may hang.
	usual  [64]chan struct{}
	others chan struct{}
	seed   maphash.Seed

	mu    sync.Mutex
	known map[string]known
}

// known is a checked certificate, or the error of the check.
type known struct {
	cert  *x509.Certificate
	err   error
	until time.Time
}

func newCertStore(fetch func(context.Context, string) ([]byte, error), roots *x509.CertPool) *certStore {
	if fetch == nil {
		fetch = fetchCertificate
	}
	s := &certStore{fetch: fetch, roots: roots, others: make(chan struct{}, 1), seed: maphash.MakeSeed(), known: map[string]known{}}
	for i := range s.usual {
		s.usual[i] = make(chan struct{}, 1)
	}
	return s
}

// get returns the checked certificate at address.
func (s *certStore) get(ctx context.Context, address string) (*x509.Certificate, error) {
	if k, ok := s.lookup(address); ok {
		return k.cert, k.err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	fetching := s.others
	if strings.HasPrefix(address, usualAddress) {
		fetching = s.usual[maphash.String(s.seed, address)%uint64(len(s.usual))]
	}
	select {
	case fetching <- struct{}{}: // forged requests must not open many connections
		defer func() { <-fetching }()
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
		return nil, err // the request has ended: the address may be right
	}
	s.keep(address, k)
	return cert, err
}

func (s *certStore) lookup(address string) (known, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known[address]
	return k, time.Now().Before(k.until)
}

// keep stores k. If the store is full, failures go first: anyone can cause them.
func (s *certStore) keep(address string, k known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxCerts {
		maps.DeleteFunc(s.known, func(_ string, old known) bool { return old.err != nil })
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
		return nil, fmt.Errorf("%w: the certificate at PAYPAL-CERT-URL cannot be read: %w", billing.ErrSignature, err)
	}
	leaf, pool := certs[0], x509.NewCertPool()
	for _, c := range certs[1:] {
		pool.AddCert(c)
	}
	if !named(leaf) {
		return nil, fmt.Errorf("%w: the certificate is not issued to messageverificationcerts.paypal.com", billing.ErrSignature)
	}
	if err := s.check(ctx, leaf, pool); err != nil {
		return nil, err
	}
	return leaf, nil
}

// check verifies the chain from leaf to a root. It fetches the intermediate certificates that PayPal did not serve.
func (s *certStore) check(ctx context.Context, leaf *x509.Certificate, pool *x509.CertPool) error {
	top := leaf
	for fetched := 0; ; fetched++ {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: s.roots, Intermediates: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		switch {
		case err == nil:
			return nil
		case fetched == maxIssuers || len(top.IssuingCertificateURL) == 0:
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

// named reports whether c has the name of the certificates that sign webhooks, as in PayPal's own SDK for Java. Others under paypal.com
// belong to other services, some of which are not PayPal's own.
func named(c *x509.Certificate) bool {
	signs := func(name string) bool {
		return strings.HasPrefix(strings.ToLower(name), "messageverificationcerts.") && underPayPal(name)
	}
	return signs(c.Subject.CommonName) || slices.ContainsFunc(c.DNSNames, signs)
}

// parseCertificates reads PEM or DER; there is at least one certificate.
func parseCertificates(b []byte) ([]*x509.Certificate, error) {
	var der []byte
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		der = append(der, block.Bytes...)
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

// fetchCertificate is the default of WithCertificates. Issuers usually have http addresses. That is safe, because their certificates
// must lead to a trusted root.
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
