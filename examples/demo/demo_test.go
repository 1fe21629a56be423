package main

import (
	"bytes"
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

func TestTableNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	wrong := printTable(&out, []row{{"one", "a", "a", true}, {"two", "a", "b", false}})
	if len(wrong) != 1 || wrong[0] != "two" || !strings.Contains(out.String(), "WRONG") {
		t.Errorf("wrong: %q, want two:\n%s", wrong, out.String())
	}
}
