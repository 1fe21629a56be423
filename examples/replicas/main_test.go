package main

import (
	"bytes"
	"os"
	"regexp"
	"testing"
)

// TestMain lets the test's own binary play a replica, as the program does.
func TestMain(m *testing.M) {
	if os.Getenv("SHOP_SCHEMA") != "" {
		exit(shopMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := run(t.Context(), &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{`orders paid +100\b`, `commissions +100\b`, `sales lost +0\b`, `sales doubled +0\b`} {
		if !regexp.MustCompile(want).Match(out.Bytes()) {
			t.Errorf("the table has no %q:\n%s", want, out.String())
		}
	}
}
