package billing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
	"github.com/fprom-go/fprom/billing/billingtest"
	"github.com/fprom-go/fprom/billing/chargebee"
	"github.com/fprom-go/fprom/billing/lemonsqueezy"
	"github.com/fprom-go/fprom/billing/revenuecat"
	"github.com/fprom-go/fprom/billing/stripe"
)

// A refusal says what is wrong, in words that tell one cause from another, and the sender nothing but that there is one.
func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	body := read(t, "lemonsqueezy/testdata/one_time.json")
	for _, tt := range []struct {
		name, secret string
		body         []byte
		change       func(*http.Request)
		status       int
		reason, text string
		stray        bool // without the provider's header
	}{
		{"no header", secret, body, nil, 401, "no-header", "the header X-Signature is missing", true},
		{"empty body", secret, nil, sign(body), 401, "empty-body", "does a middleware read it", false},
		{"wrong secret", "another", body, sign(body), 401, "mismatch", "is the secret that of this webhook", false},
		{"changed body", secret, append(bytes.Clone(body), ' '), sign(body), 401, "mismatch", "does the body arrive unchanged", false},
		{"too large", secret, make([]byte, 1<<20+1), sign(body), 413, "unread-body", "the body cannot be read, or is larger than 1 MiB", false},
		{"too large, no header", secret, make([]byte, 1<<20+1), nil, 413, "unread-body", "larger than 1 MiB", true},
		{"newline", secret + "\n", body, sign(body), 401, "secret-space", "white space around it", false},
		{"empty secret", "", body, sign(body), 401, "no-secret", "a signing secret is empty", false},
		{"empty secret, no header", "", body, nil, 401, "no-header", "the header X-Signature is missing", true},
		{"GET", secret, nil, get, 405, "method", "does a redirect turn it into GET", true},
		{"redirected", secret, nil, func(r *http.Request) { sign(body)(r); get(r) }, 405, "method", "does a redirect turn it into GET", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var observed []error
			h := lemonsqueezy.Handler(&billingtest.Sink{}, tt.secret, billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
				billing.WithObserver(func(_ context.Context, x billing.Explanation) { observed = append(observed, x.Err) }))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(tt.body))
			if tt.change != nil {
				tt.change(r)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if len(observed) != 1 || !errors.Is(observed[0], billing.ErrSignature) {
				t.Errorf("the observer saw %v", observed)
			} else if errors.Is(observed[0], billing.ErrStray) != tt.stray {
				t.Errorf("the observer saw %v, want stray %v", observed[0], tt.stray)
			}
			if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "reason="+tt.reason) || !strings.Contains(log.String(), tt.text) {
				t.Errorf("logged %q, want reason %s, %q", log.String(), tt.reason, tt.text)
			}
			if tt.secret != "" && strings.Contains(log.String(), strings.TrimSpace(tt.secret)) {
				t.Errorf("the log contains the secret: %s", log.String())
			}
			if got := w.Body.String(); w.Code != tt.status || strings.Count(got, "\n") != 1 || strings.Contains(got, "secret") {
				t.Errorf("answered %d %q", w.Code, got)
			}
			if kind, allow := w.Header().Get("Content-Type"), w.Header().Get("Allow"); kind != "text/plain; charset=utf-8" || (allow == "POST") != (tt.status == 405) {
				t.Errorf("answered %s, Allow %q", kind, allow)
			}
		})
	}
	err := stripe.Provider().Check(http.Header{"Stripe-Signature": {"t=1,v1=00"}}, body, "sk_live_key")
	if err == nil || !strings.Contains(err.Error(), "does not begin with whsec_") || strings.Contains(err.Error(), "sk_live") {
		t.Errorf("an API key for a secret: %v", err)
	}
	// Where the header has the secret itself, nothing is signed, and the body does not matter.
	for _, tt := range []struct {
		v            billing.Provider
		secret, text string
	}{
		{chargebee.Provider(), "user:pass", "header Authorization: it does not have this user and password"},
		{chargebee.Provider(), "user:pass\n", "white space around it"},
		{revenuecat.Provider(), "token", "header Authorization: it is not the secret"},
	} {
		err := tt.v.Check(http.Header{"Authorization": {"Basic dXNlcjpvdGhlcg=="}}, body, tt.secret)
		if !errors.Is(err, billing.ErrSignature) || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "body") || strings.Contains(err.Error(), tt.secret) {
			t.Errorf("%s: %v, want %q", tt.v.Name, err, tt.text)
		}
	}
}

func get(r *http.Request) { r.Method = http.MethodGet }

// The queue's error stands in a line of the log, also a conflict that names no event. The line begins with the
// name of the library as the error does.
func TestLinesNameTheLibraryOnce(t *testing.T) {
	t.Parallel()
	body := read(t, "lemonsqueezy/testdata/one_time.json")
	for _, err := range []error{fprom.ErrQueueFull, fprom.ErrConflict, &fprom.ConflictError{}, &fprom.ValidationError{Field: "Amount", Reason: "is zero"}} {
		var log bytes.Buffer
		h := lemonsqueezy.Handler(&billingtest.Sink{Err: err}, secret, billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		billingtest.Post(h, body, sign(body))
		if strings.Count(log.String(), "\n") != 1 || strings.Count(log.String(), "fprom: ") != 1 {
			t.Errorf("logged %s", log.String())
		}
	}
}

// Anyone can send unsigned webhooks, and a secret can be rotated on any day: one line a minute and reason, and the lines
// together count all, also those of the last minute.
func TestRefusalsAreSaidOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := lemonsqueezy.Handler(&billingtest.Sink{}, secret, billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		for range 3 {
			for range 100 {
				billingtest.Post(h, []byte("{}"), nil)
				billingtest.Post(h, []byte("{}"), sign([]byte("[]")))
				billingtest.Post(h, nil, get)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for text, n := range map[string]int{"level=WARN": 12, "reason=no-header": 4, "reason=mismatch": 4, "reason=method": 4, "count=1\n": 3, "count=99\n": 3, "count=100\n": 6} {
			if got := strings.Count(log.String(), text); got != n {
				t.Errorf("logged %q %d times, want %d:\n%s", text, got, n, log.String())
			}
		}
		billingtest.Post(h, []byte("{}"), nil)
		if !strings.HasSuffix(log.String(), "count=1\n") || strings.Count(log.String(), "level=WARN") != 13 {
			t.Errorf("after an hour without: logged %s", log.String())
		}
	})
}

// A logger that panics when the minute is over does not end the process.
func TestLoggerThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lines := 0
		h := lemonsqueezy.Handler(&billingtest.Sink{}, secret, billing.WithLogger(slog.New(slog.NewTextHandler(writerFunc(func([]byte) (int, error) {
			if lines++; lines > 1 {
				panic("no")
			}
			return 0, nil
		}), nil))))
		for range 2 {
			if got := billingtest.Post(h, []byte("{}"), nil); got != http.StatusUnauthorized {
				t.Errorf("status %d", got)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if lines != 2 {
			t.Errorf("%d lines, want 2", lines)
		}
	})
}

// An observer that panics does not change the answer, and hears of the next event.
func TestObserverThatPanics(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var sink billingtest.Sink
	calls := 0
	h := lemonsqueezy.Handler(&sink, secret, billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		billing.WithObserver(func(context.Context, billing.Explanation) { calls++; panic("no") }))
	body := read(t, "lemonsqueezy/testdata/one_time.json")
	if got := billingtest.Post(h, body, sign(body)); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	if got := billingtest.Post(h, body, nil); got != http.StatusUnauthorized {
		t.Errorf("status %d of an unsigned one", got)
	}
	if len(sink.Events()) != 1 || calls != 2 || strings.Count(log.String(), "the observer of webhooks panicked") != 2 {
		t.Errorf("%d events, %d calls: %s", len(sink.Events()), calls, log.String())
	}
}

// A logger that blocks for ever holds up its own request. Those after it are answered.
func TestLoggerThatBlocks(t *testing.T) {
	t.Parallel()
	end, blocked := make(chan struct{}), make(chan struct{})
	defer close(end)
	h := lemonsqueezy.Handler(&billingtest.Sink{}, secret, billing.WithLogger(slog.New(slog.NewTextHandler(writerFunc(func([]byte) (int, error) {
		close(blocked)
		<-end
		return 0, nil
	}), nil))))
	go billingtest.Post(h, []byte("{}"), nil)
	<-blocked
	answered := make(chan int)
	go func() { answered <- billingtest.Post(h, []byte("{}"), nil) }()
	select {
	case got := <-answered:
		if got != http.StatusUnauthorized {
			t.Errorf("status %d", got)
		}
	case <-time.After(time.Minute):
		t.Error("the next request hangs")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A secret that is missing is said before the first webhook comes, unless nothing is tracked anyhow.
func TestEmptySecretIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
	var development *fprom.Tracker
	lemonsqueezy.Handler(development, "", logger)
	if log.Len() > 0 {
		t.Errorf("without a tracker: %s", log.String())
	}
	lemonsqueezy.Handler(&billingtest.Sink{}, "", logger)
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "secret of a webhook is empty") {
		t.Errorf("logged %q", log.String())
	}
}

// An endpoint that is subscribed to the wrong events loses every sale: that is said, once for each type.
func TestOtherEventIsSaidOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := stripe.Handler(&billingtest.Sink{}, "whsec_x", billing.WithLogger(slog.New(slog.NewTextHandler(&log, nil))), billing.WithTolerance(0))
	for range 3 {
		for _, name := range []string{"other_charge_succeeded", "other_payment_intent_succeeded"} {
			body := read(t, "stripe/testdata/"+name+".json")
			if got := billingtest.Post(h, body, stripeSigned(body, "whsec_x")); got != http.StatusOK {
				t.Errorf("%s: status %d", name, got)
			}
		}
	}
	for text, n := range map[string]int{"level=WARN": 2, "type=charge.succeeded": 1, "type=payment_intent.succeeded": 1, "invoice.paid": 2} {
		if got := strings.Count(log.String(), text); got != n {
			t.Errorf("logged %q %d times, want %d:\n%s", text, got, n, log.String())
		}
	}
}
