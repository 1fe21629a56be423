package main

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fprom-go/fprom/examples/internal/exampletest"
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

func TestSend(t *testing.T) {
	exampletest.WithoutCredentials(t)
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
	exampletest.WithoutCredentials(t)
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
	exampletest.WithoutCredentials(t)
	calls, stop := exampletest.Start(t, run, 4)
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusBadRequest} {
		calls[i].Do(t, want)
	}
	calls[3].AwaitTracked(t, 2)
	if code, printed := stop(); code != 0 {
		t.Errorf("exit code %d, want 0; it said:\n%s", code, printed)
	}
}
