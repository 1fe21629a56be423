package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the demo start this test binary as the shop.
func TestMain(m *testing.M) {
	if outbox := os.Getenv(envOutbox); outbox != "" {
		os.Exit(shopMain(outbox))
	}
	os.Exit(m.Run())
}

func TestDemo(t *testing.T) {
	t.Parallel()
	size := full
	if testing.Short() {
		size = sizes{outage: 2 * time.Second, burst: 20, killed: 16}
	}
	var out, log bytes.Buffer
	if err := demonstrate(t.Context(), size, &out, &log); err != nil {
		t.Fatalf("%v\n%s\nthe shop's log:\n%s", err, out.String(), log.String())
	}
	if n := strings.Count(out.String(), "  ok\n"); n != 12 {
		t.Errorf("%d rows are ok, want 12:\n%s", n, out.String())
	}
}

// TestDemoInterrupted presses Ctrl-C in the outage.
func TestDemoInterrupted(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, log bytes.Buffer
	err := demonstrate(ctx, full, writerFunc(func(p []byte) (int, error) {
		if bytes.Contains(p, []byte("outage")) {
			cancel()
		}
		return out.Write(p)
	}), &log)
	if err == nil || !strings.Contains(err.Error(), "stopped in scene \"outage") {
		t.Errorf("error %v, want that it stopped in the outage:\n%s", err, out.String())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestTableNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	wrong := printTable(&out, []row{{"one", "a", "a", true}, {"two", "a", "b", false}})
	if len(wrong) != 1 || wrong[0] != "two" || !strings.Contains(out.String(), "WRONG") {
		t.Errorf("wrong: %q, want two:\n%s", wrong, out.String())
	}
}
