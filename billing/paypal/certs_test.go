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

func check(opt paypal.Option) error {
	h := http.Header{}
	signRequest(h, []byte("{}"), "id")
	return paypal.Provider(opt).Check(h, []byte("{}"), "id")
}

// A certificate is fetched once, with its issuer, also by many at once.
func TestCertificateIsKept(t *testing.T) {
	t.Parallel()
	f := served()
	opt := f.option()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := check(opt); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if want := []string{certURL, issuerURL}; !slices.Equal(f.asked, want) {
		t.Errorf("asked for %v, want %v", f.asked, want)
	}
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
		f.err = nil
		time.Sleep(time.Minute)
		if got := post(); got != http.StatusOK || len(sink.Events()) != 1 {
			t.Errorf("status %d and %d events after it came back, want 200 and one", got, len(sink.Events()))
		}
	})
}

// A flood of forged addresses is fetched one at a time, is bounded in memory, and does not push out the certificate in use.
func TestForgedAddresses(t *testing.T) {
	t.Parallel()
	f := served()
	opt := f.option()
	if err := check(opt); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		h := http.Header{}
		signRequest(h, []byte("{}"), "id")
		h.Set("Paypal-Cert-Url", fmt.Sprintf("https://api.paypal.com/forged/%d", i))
		if err := paypal.Provider(opt).Check(h, []byte("{}"), "id"); !errors.Is(err, billing.ErrSignature) {
			t.Fatalf("got %v, want ErrSignature", err)
		}
	}
	f.err = errDown
	if err := check(opt); err != nil {
		t.Errorf("the certificate in use was forgotten: %v", err)
	}
}

// A fetch that hangs ends after 10 seconds, for the one who fetches and for those who wait.
func TestFetchHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opt := paypal.WithCertificates(func(ctx context.Context, _ string) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, ca().roots)
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
		if d := time.Since(start); d > 11*time.Second {
			t.Errorf("took %s", d)
		}
	})
}

func TestDefaultFetch(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("certificate")) })
	mux.Handle("/moved", http.RedirectHandler("/ok", http.StatusFound))
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/busy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
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
		{path: "/large", size: 64 << 10},
	} {
		b, err := paypal.FetchCertificate(t.Context(), server.URL+tt.path)
		if errors.Is(err, billing.ErrSignature) != tt.refused || (err != nil) != (tt.refused || tt.failed) || len(b) != tt.size {
			t.Errorf("%s: got %d bytes, %v", tt.path, len(b), err)
		}
	}
}
