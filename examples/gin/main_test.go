package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// TestRun does what the program tells a new user to do: the curl lines, and Ctrl-C.
func TestRun(t *testing.T) {
	for _, name := range []string{"FIRSTPROMOTER_API_KEY", "FIRSTPROMOTER_ACCOUNT_ID", "FIRSTPROMOTER_API_URL"} {
		t.Setenv(name, "")
	}
	outbox := filepath.Join(t.TempDir(), "fprom.db")
	for name, args := range map[string][]string{
		"in memory": {"-addr", "127.0.0.1:0"},
		"outbox":    {"-addr", "127.0.0.1:0", "-outbox", outbox},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			r, w := io.Pipe()
			code := make(chan int, 1)
			go func() {
				code <- run(ctx, args, w)
				_ = w.Close()
			}()
			var output bytes.Buffer
			calls := curlLines(t, io.TeeReader(r, &output), 3)
			go func() { _, _ = io.Copy(io.Discard, r) }() // run must not block

			for i, want := range []int{http.StatusOK, http.StatusPaymentRequired} {
				if status, body := calls[i].do(t); status != want {
					t.Errorf("%s: status %d, want %d: %s", calls[i].url, status, want, body)
				}
			}
			want := fprom.Stats{Enqueued: 1, Attempts: 1, Tracked: 1}
			if got := awaitTracked(t, calls[2]); got.Enqueued != want.Enqueued || got.Attempts != want.Attempts || got.Tracked != want.Tracked {
				t.Errorf("stats %+v, want one sale tracked", got)
			}
			stop()
			if got := <-code; got != 0 {
				t.Errorf("exit code %d, want 0; it said:\n%s", got, output.String())
			}
		})
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	foreign := filepath.Join(t.TempDir(), "no", "such", "directory", "fprom.db")
	for _, tt := range []struct {
		name, key, url string
		args           []string
		wantCode       int
		want           string
	}{
		{"account missing", "key", "", nil, 1, "FIRSTPROMOTER_ACCOUNT_ID"},
		{"placeholder", "<your key>", "", nil, 1, "APIKey"},
		{"plain http", "key", "http://api.firstpromoter.com", nil, 1, "https"},
		{"address", "", "", []string{"-addr", "256.0.0.1:1"}, 1, "-addr"},
		{"outbox", "", "", []string{"-outbox", foreign}, 1, foreign},
		{"flag", "", "", []string{"-prot", "1"}, 2, "-prot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("FIRSTPROMOTER_API_KEY", tt.key)
			t.Setenv("FIRSTPROMOTER_ACCOUNT_ID", "")
			t.Setenv("FIRSTPROMOTER_API_URL", tt.url)
			if tt.url != "" {
				t.Setenv("FIRSTPROMOTER_ACCOUNT_ID", "account")
			}
			var output bytes.Buffer
			code := run(t.Context(), append([]string{"-addr", "127.0.0.1:0"}, tt.args...), &output)
			if code != tt.wantCode || !strings.Contains(output.String(), tt.want) {
				t.Errorf("exit code %d, want %d, and the output should contain %q:\n%s", code, tt.wantCode, tt.want, output.String())
			}
		})
	}
}

// curl is a command line that the program printed.
type curl struct{ cookie, body, url string }

var curlLine = regexp.MustCompile(`^curl -s (?:-b (\S+) )?(?:-d '(.*)' )?(\S+)$`)

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
	if c.cookie != "" {
		req.Header.Set("Cookie", c.cookie)
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d has it
	}
	resp, err := http.DefaultClient.Do(req)
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

// awaitTracked asks for the status until the sale is tracked.
func awaitTracked(t *testing.T, status curl) fprom.Stats {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, body := status.do(t)
		var s fprom.Stats
		if err := json.Unmarshal(body, &s); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if s.Tracked > 0 || time.Now().After(deadline) {
			return s
		}
	}
}
