// Package exampletest runs an example as a new user does: it starts the program, runs the curl commands that it prints, and stops it.
package exampletest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// Main is the main function of an example. It ends with ctx and returns the exit code.
type Main func(ctx context.Context, args []string, stderr io.Writer) int

// WithoutCredentials unsets the environment variables that examples read.
func WithoutCredentials(t *testing.T) {
	t.Helper()
	for _, name := range []string{"FIRSTPROMOTER_API_KEY", "FIRSTPROMOTER_ACCOUNT_ID", "FIRSTPROMOTER_API_URL", "STRIPE_WEBHOOK_SECRET"} {
		t.Setenv(name, "")
	}
}

// Start runs main and returns the first n curl commands that it prints. stop ends it like Ctrl-C and returns its exit code and its
// output.
func Start(t *testing.T, main Main, n int, args ...string) (calls []Curl, stop func() (code int, printed string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- main(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w)
		_ = w.Close()
	}()
	var printed bytes.Buffer
	calls = curlLines(t, io.TeeReader(r, &printed), n)
	rest := make(chan struct{})
	go func() { // main must not block
		_, _ = io.Copy(&printed, r)
		close(rest)
	}()
	return calls, func() (int, string) {
		cancel()
		exit := <-code
		<-rest
		return exit, printed.String()
	}
}

// Curl is a command line that an example printed.
type Curl struct{ cookie, body, URL, host string }

var curlLine = regexp.MustCompile(`^curl -sL? (?:-w \S+ )?(?:-b (\S+) )?(?:-d '(.*)' )?(\S+)$`)

func curlLines(t *testing.T, r io.Reader, n int) []Curl {
	t.Helper()
	var calls []Curl
	lines := bufio.NewScanner(r)
	for len(calls) < n && lines.Scan() {
		if m := curlLine.FindStringSubmatch(lines.Text()); m != nil {
			calls = append(calls, Curl{cookie: m[1], body: m[2], URL: m[3]})
		}
	}
	if len(calls) < n {
		t.Fatalf("found %d curl lines, want %d", len(calls), n)
	}
	return calls
}

// Do sends the request of the command and fails the test if the status is not want.
func (c Curl) Do(t *testing.T, want int) (body []byte) {
	t.Helper()
	method := http.MethodGet
	if c.body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.URL, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d does
	}
	req.Host = cmp.Or(c.host, req.Host)
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
	if resp.StatusCode != want {
		t.Errorf("%s as %s: status %d, want %d: %s", c.URL, req.Host, resp.StatusCode, want, body)
	}
	return body
}

// As is the command with another Host, as the browser of somebody at this machine sends it for a site whose name leads to it.
func (c Curl) As(host string) Curl {
	c.host = host
	return c
}

// AwaitTracked sends c, which answers with a Tracker's Stats, until n sales are tracked and the queue has noted it, which takes an
// outbox a write to disk. It fails the test if more were enqueued.
func (c Curl) AwaitTracked(t *testing.T, n uint64) {
	t.Helper()
	var s fprom.Stats
	for deadline := time.Now().Add(2 * time.Minute); (s.Tracked < n || s.Queue.Pending > 0) && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		body := c.Do(t, http.StatusOK)
		if err := json.Unmarshal(body, &s); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	if s.Enqueued != n || s.Tracked != n || s.Attempts != n || s.Queue.Pending != 0 {
		t.Errorf("stats %+v, want %d sales tracked by as many calls, and none in the queue", s, n)
	}
}

// Shop runs the commands that a shop prints, once with the queue in memory and once with an outbox.
func Shop(t *testing.T, main Main) {
	t.Helper()
	WithoutCredentials(t)
	for name, args := range map[string][]string{
		"in memory": nil,
		"outbox":    {"-outbox", filepath.Join(t.TempDir(), "fprom.db")},
	} {
		t.Run(name, func(t *testing.T) {
			calls, stop := Start(t, main, 3, args...)
			calls[0].Do(t, http.StatusOK)
			calls[1].Do(t, http.StatusPaymentRequired)
			calls[2].AwaitTracked(t, 1)
			if code, printed := stop(); code != 0 {
				t.Errorf("exit code %d, want 0; it said:\n%s", code, printed)
			}
		})
	}
}

// LeavesSales ends a shop while its queue in memory has a sale that FirstPromoter does not take. It names the sale, and does not fail.
func LeavesSales(t *testing.T, main Main) {
	t.Helper()
	t.Setenv("FIRSTPROMOTER_API_KEY", "key")
	t.Setenv("FIRSTPROMOTER_ACCOUNT_ID", "account")
	t.Setenv("FIRSTPROMOTER_API_URL", "http://127.0.0.1:9/api/v2/track") // nothing listens there
	calls, stop := Start(t, main, 1)
	calls[0].Do(t, http.StatusOK)
	if code, printed := stop(); code != 0 || !strings.Contains(printed, "undelivered events: 1 (the first: sale:") {
		t.Errorf("exit code %d, want 0; it said:\n%s", code, printed)
	}
}

// SaysWhatIsWrong checks the error messages of a shop with a wrong configuration.
func SaysWhatIsWrong(t *testing.T, main Main) {
	t.Helper()
	missing := filepath.Join(t.TempDir(), "no", "such", "directory", "fprom.db")
	for _, tt := range []struct {
		name, key, account, url string
		args                    []string
		wantCode                int
		want                    string
	}{
		{"account missing", "key", "", "", nil, 1, "FIRSTPROMOTER_ACCOUNT_ID"},
		{"key missing", "", "account", "", nil, 1, "FIRSTPROMOTER_API_KEY"},
		{"placeholder", "<your key>", "", "", nil, 1, "APIKey"},
		{"plain http", "key", "account", "http://api.firstpromoter.com", nil, 1, "https"},
		{"address", "", "", "", []string{"-addr", "256.0.0.1:1"}, 1, "-addr"},
		{"outbox", "", "", "", []string{"-outbox", missing}, 1, missing},
		{"flag", "", "", "", []string{"-prot", "1"}, 2, "-prot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("FIRSTPROMOTER_API_KEY", tt.key)
			t.Setenv("FIRSTPROMOTER_ACCOUNT_ID", tt.account)
			t.Setenv("FIRSTPROMOTER_API_URL", tt.url)
			var output bytes.Buffer
			code := main(t.Context(), append([]string{"-addr", "127.0.0.1:0"}, tt.args...), &output)
			if code != tt.wantCode || !strings.Contains(output.String(), tt.want) {
				t.Errorf("exit code %d, want %d, and the output should contain %q:\n%s", code, tt.wantCode, tt.want, output.String())
			}
		})
	}
}
