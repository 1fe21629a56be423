package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/stripe"
)

// output is a buffer that the program and its logger write to at once.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func withoutCredentials(t *testing.T) {
	t.Helper()
	for _, name := range []string{"FIRSTPROMOTER_API_KEY", "FIRSTPROMOTER_ACCOUNT_ID", "FIRSTPROMOTER_API_URL", "STRIPE_WEBHOOK_SECRET"} {
		t.Setenv(name, "")
	}
}

func TestSend(t *testing.T) {
	withoutCredentials(t)
	var output output
	args := []string{"-send", "-addr", "127.0.0.1:0", "-outbox", filepath.Join(t.TempDir(), "fprom.db")}
	if code := run(t.Context(), args, &output); code != 0 {
		t.Fatalf("exit code %d, want 0:\n%s", code, output.String())
	}
	for want, times := range map[string]int{
		"the same webhook again: 200":                       2,
		"the same webhook, signed with another secret: 400": 2,
		"POST /sale ":       2,
		`"amount":10000`:    1,
		`"amount":2000`:     1,
		"  commission ":     2,
		`"tid":"visitor-1"`: 2,
	} {
		if got := strings.Count(output.String(), want); got != times {
			t.Errorf("%q is printed %d times, want %d:\n%s", want, got, times, output.String())
		}
	}
}

func TestSendIsForTheFakeOnly(t *testing.T) {
	withoutCredentials(t)
	t.Setenv("FIRSTPROMOTER_API_KEY", "key")
	t.Setenv("FIRSTPROMOTER_ACCOUNT_ID", "account")
	t.Setenv("FIRSTPROMOTER_API_URL", "http://127.0.0.1:1")
	var output bytes.Buffer
	if code := run(t.Context(), []string{"-send", "-addr", "127.0.0.1:0"}, &output); code != 1 || !strings.Contains(output.String(), "unset FIRSTPROMOTER_API_KEY") {
		t.Errorf("exit code %d, want 1, and to be told why:\n%s", code, output.String())
	}
}

// TestServe does what the program tells a new user to do.
func TestServe(t *testing.T) {
	withoutCredentials(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"-addr", "127.0.0.1:0"}, w)
		_ = w.Close()
	}()
	calls := curlLines(t, r, 4)
	go func() { _, _ = io.Copy(io.Discard, r) }() // run must not block

	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusBadRequest, http.StatusOK} {
		if status, body := calls[i].do(t); status != want {
			t.Errorf("%s: status %d, want %d: %s", calls[i].url, status, want, body)
		}
	}
	var s fprom.Stats
	for deadline := time.Now().Add(20 * time.Second); s.Tracked < 2 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_, body := calls[3].do(t)
		if err := json.Unmarshal(body, &s); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	if s.Enqueued != 2 || s.Tracked != 2 {
		t.Errorf("stats %+v, want two sales tracked", s)
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want 0", got)
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"type":"invoice.paid"}`)
	now := time.Now()
	for _, tt := range []struct {
		name, header string
		want         bool
	}{
		{"right", sign(payload, "whsec_example", now), true},
		{"wrong secret", sign(payload, "whsec_guessed", now), false},
		{"other payload", sign([]byte(`{}`), "whsec_example", now), false},
		{"stale", sign(payload, "whsec_example", now.Add(-time.Hour)), false},
	} {
		err := stripe.Verify(http.Header{"Stripe-Signature": {tt.header}}, payload, "whsec_example")
		if got := err == nil; got != tt.want {
			t.Errorf("%s: verified %v, want %v: %v", tt.name, got, tt.want, err)
		}
	}
	// echo -n '1700000000.{}' | openssl dgst -sha256 -hmac whsec_example
	const want = "t=1700000000,v1=7fd3f63e358a5b466ad16eb9b92640b6639a1d1111041bfc08779d1bacd106f2"
	if got := sign([]byte(`{}`), "whsec_example", time.Unix(1_700_000_000, 0)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// curl is a command line that the program printed.
type curl struct{ cookie, body, url string }

var curlLine = regexp.MustCompile(`^curl -sL? (?:-w \S+ )?(?:-b (\S+) )?(?:-d '(.*)' )?(\S+)$`)

func curlLines(t *testing.T, r io.Reader, n int) []curl {
	t.Helper()
	var calls []curl
	lines := bufio.NewScanner(r)
	for len(calls) < n && lines.Scan() {
		if m := curlLine.FindStringSubmatch(lines.Text()); m != nil {
			calls = append(calls, curl{m[1], m[2], m[3]})
		}
	}
	if len(calls) < n {
		t.Fatalf("found %d curl lines, want %d", len(calls), n)
	}
	return calls
}

func (c curl) do(t *testing.T) (status int, body []byte) {
	t.Helper()
	method := http.MethodGet
	if c.body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.url, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(c.cookie, "="); ok {
		jar.SetCookies(req.URL, []*http.Cookie{{Name: name, Value: value}})
	}
	resp, err := (&http.Client{Jar: jar}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}
