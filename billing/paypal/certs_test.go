package paypal_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/paypal"
)

func check(opt paypal.Option) error { return checkAt(opt, certURL) }

func checkAt(opt paypal.Option, address string) error {
	h := http.Header{}
	signRequest(h, []byte("{}"), "id")
	h.Set("Paypal-Cert-Url", address)
	return paypal.Provider(opt).Check(h, []byte("{}"), "id")
}

// A certificate is fetched once, with its issuer, also by many at once, and is kept.
func TestCertificateIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := served()
		f.takes = time.Second
		opt := f.option()
		for range 2 {
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if err := check(opt); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			time.Sleep(24 * time.Hour)
		}
		if want := []string{certURL, issuerURL}; !slices.Equal(f.asked, want) {
			t.Errorf("asked for %v, want %v", f.asked, want)
		}
	})
}

func TestCertificateExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := served()
		f.byURL[certURL] = ca().issue(x509.Certificate{
			DNSNames: []string{"messageverificationcerts.paypal.com"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		})
		opt := f.option()
		if err := check(opt); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if err := check(opt); !errors.Is(err, billing.ErrSignature) {
			t.Errorf("expired: got %v, want ErrSignature", err)
		}
		f.byURL[certURL] = ca().leaf
		time.Sleep(time.Minute)
		if err := check(opt); err != nil {
			t.Errorf("replaced: %v", err)
		}
	})
}

// While the certificate cannot be had, PayPal is asked to come again; the failure is remembered for a minute.
func TestFetchFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := served()
		f.err = errDown
		body, sink := billingtest.Read(t, "capture_completed.json"), &billingtest.Sink{}
		h := billing.Handler(sink, paypal.Provider(f.option()), "id", billingtest.Quiet())
		post := func() int {
			return billingtest.Post(h, body, func(r *http.Request) { signRequest(r.Header, body, "id") })
		}
		for range 3 {
			if got := post(); got != http.StatusServiceUnavailable {
				t.Errorf("status %d, want 503", got)
			}
		}
		if len(f.asked) != 1 {
			t.Errorf("asked %d times within a minute, want once", len(f.asked))
		}
		f.err, f.down = nil, issuerURL
		time.Sleep(time.Minute)
		if got := post(); got != http.StatusServiceUnavailable {
			t.Errorf("without the issuer: status %d, want 503", got)
		}
		f.down = ""
		time.Sleep(time.Minute)
		if got := post(); got != http.StatusOK || len(sink.Events()) != 1 {
			t.Errorf("status %d and %d events after it came back, want 200 and one", got, len(sink.Events()))
		}
	})
}

// A flood of addresses is fetched one at a time, each once, and is bounded in memory. Forged ones do not push out the certificate in use.
func TestForgedAddresses(t *testing.T) {
	t.Parallel()
	f := served()
	opt := f.option()
	if err := check(opt); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if err := checkAt(opt, fmt.Sprintf("https://api.paypal.com/forged/%d", i)); !errors.Is(err, billing.ErrSignature) {
			t.Fatalf("got %v, want ErrSignature", err)
		}
	}
	asked := len(f.asked)
	if err := checkAt(opt, "https://api.paypal.com/forged/198"); !errors.Is(err, billing.ErrSignature) || len(f.asked) != asked {
		t.Errorf("a forged address again: %v, asked again: %t", err, len(f.asked) != asked)
	}
	if err := check(opt); err != nil || len(f.asked) != asked {
		t.Errorf("the certificate in use: %v, asked again: %t", err, len(f.asked) != asked)
	}
	for i := range 100 { // they lead to the true certificate
		address := fmt.Sprintf("%s?%d", certURL, i)
		f.byURL[address] = ca().leaf
		if err := checkAt(opt, address); err != nil {
			t.Fatal(err)
		}
	}
	asked = len(f.asked)
	if err := check(opt); err != nil || len(f.asked) == asked {
		t.Errorf("after 100 other addresses: %v, asked again: %t", err, len(f.asked) != asked)
	}
}

// A fetch that hangs ends after 10 seconds, for the one who fetches and for those who wait, and is remembered.
func TestFetchHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opt := served().hanging(certURL)
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := check(opt); err == nil || errors.Is(err, billing.ErrSignature) {
					t.Errorf("got %v, want an error that is not ErrSignature", err)
				}
			})
		}
		wg.Wait()
		if err := check(opt); err == nil {
			t.Error("a certificate that was not fetched is taken")
		}
		if d := time.Since(start); d > 11*time.Second {
			t.Errorf("took %s", d)
		}
	})
}

// Forged addresses that hang hold up each other, and not the first certificate of PayPal.
func TestForgedAddressesHangFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opt := served().hanging("https://slow.paypal.com/")
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() { _ = checkAt(opt, fmt.Sprintf("https://slow.paypal.com/%d", i)) })
		}
		synctest.Wait()
		start := time.Now()
		if err := check(opt); err != nil || time.Since(start) > 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		wg.Wait()
	})
}

// While forged addresses hang, the certificate in use is taken at once. A request that ends in between says nothing about its address.
func TestForgedAddressHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const forged = certURL + "0"
		opt := served().hanging(forged)
		if err := check(opt); err != nil {
			t.Fatal(err)
		}
		h := billing.Handler(&billingtest.Sink{}, paypal.Provider(opt), "id", billingtest.Quiet())
		ctx, cancel := context.WithCancel(t.Context())
		post := func() int {
			return billingtest.Post(h, []byte("{}"), func(r *http.Request) {
				signRequest(r.Header, []byte("{}"), "id")
				r.Header.Set("Paypal-Cert-Url", forged)
				*r = *r.WithContext(ctx)
			})
		}
		var wg sync.WaitGroup
		wg.Go(func() { post() })
		for i := range 300 {
			wg.Go(func() { _ = checkAt(opt, fmt.Sprint(forged, i)) })
		}
		synctest.Wait()
		start := time.Now()
		if err := check(opt); err != nil || time.Since(start) > 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		cancel()
		wg.Wait()
		start, ctx = time.Now(), t.Context()
		if got := post(); got != http.StatusServiceUnavailable || time.Since(start) != 10*time.Second {
			t.Errorf("status %d after %v, want 503 after another fetch of 10 s", got, time.Since(start))
		}
	})
}

// Forged addresses that answer do not hold up the first certificate of PayPal either, however many there are.
func TestForgedAddressesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := served()
		f.takes = 200 * time.Millisecond
		opt := f.option()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() { _ = checkAt(opt, fmt.Sprintf("%s0%d", certURL, i)) })
		}
		synctest.Wait()
		start := time.Now()
		if err := check(opt); err != nil || time.Since(start) > 5*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		wg.Wait()
	})
}

// Without a fetch of the application's own, the certificate and its issuer are read from their addresses. Not parallel: it
// replaces http.DefaultTransport.
func TestDefaultCertificates(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	http.DefaultTransport = served()
	if err := check(paypal.WithCertificates(nil, ca().roots)); err != nil {
		t.Error(err)
	}
}

func TestDefaultFetch(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("certificate")) })
	mux.Handle("/moved", http.RedirectHandler("/ok", http.StatusFound))
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	mux.HandleFunc("/cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for _, tt := range []struct {
		path    string
		size    int
		refused bool
		failed  bool
	}{
		{path: "/ok", size: len("certificate")},
		{path: "/moved", refused: true},
		{path: "/missing", refused: true},
		{path: "/down", failed: true},
		{path: "/busy", failed: true},
		{path: "/cut", failed: true},
		{path: "/large", size: 64 << 10},
		{path: "/%zz", failed: true},
	} {
		b, err := paypal.FetchCertificate(t.Context(), server.URL+tt.path)
		if errors.Is(err, billing.ErrSignature) != tt.refused || (err != nil) != (tt.refused || tt.failed) || len(b) != tt.size {
			t.Errorf("%s: got %d bytes, %v", tt.path, len(b), err)
		}
	}
}
