package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/nethttpadapter"
)

func post(t *testing.T, h http.Handler, path, cookie string, form url.Values) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", cookie)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// TestSignup is the README's visitor: the cookie at the sign-up, none at the purchase.
func TestSignup(t *testing.T) {
	fake := fpromtest.NewServer(t)
	fake.AddVisitor("visitor-1")
	tracker := fpromtest.NewTracker(t, fake)
	ann := url.Values{"payment": {"ch_1"}, "email": {"ann@example.com"}}
	for _, step := range []struct {
		path, cookie string
		handler      http.HandlerFunc
	}{
		{"/signup", "_fprom_tid=visitor-1", signup},
		{"/signup", "", signup}, // nobody brought this one: nothing is reported
		{"/checkout", "", checkout},
	} {
		if code := post(t, nethttpadapter.Middleware(tracker)(step.handler), step.path, step.cookie, ann); code != http.StatusOK {
			t.Fatalf("POST %s: %d", step.path, code)
		}
	}
	if err := tracker.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(fake.Commissions()) != 1 || fake.Count(fprom.KindSignup, "") != 1 {
		t.Errorf("%d commissions and %d sign-ups, want 1 of each", len(fake.Commissions()), fake.Count(fprom.KindSignup, ""))
	}
}

// TestOutbox: what is accepted in a file is delivered by the next process.
func TestOutbox(t *testing.T) {
	file := t.TempDir() + "/fprom.db"
	synctest.Test(t, func(t *testing.T) {
		fake := fpromtest.NewServer(t, fpromtest.InMemory())
		fake.AddLead("ann@example.com")
		fake.Inject(fpromtest.Status(http.StatusServiceUnavailable))
		for _, grace := range []time.Duration{500 * time.Millisecond, 30 * time.Second} {
			queue, err := boltqueue.Open(file, boltqueue.WithoutSocket()) // with one, the time of a bubble stands still
			if err != nil {
				t.Fatal(err)
			}
			cfg := fake.Config()
			cfg.Queue, cfg.Logger = queue, slog.New(slog.DiscardHandler)
			tracker, err := fprom.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			post(t, nethttpadapter.Middleware(tracker)(http.HandlerFunc(checkout)), "/checkout", "", url.Values{"payment": {"ch_1"}, "email": {"ann@example.com"}})
			ctx, cancel := context.WithTimeout(t.Context(), grace)
			if err := tracker.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
			cancel()
			fake.Heal()
		}
		if n := len(fake.Commissions()); n != 1 {
			t.Errorf("%d commissions, want 1", n)
		}
	})
}
