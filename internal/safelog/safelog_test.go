package safelog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fprom-go/fprom/internal/safelog"
)

// The name of the library is left out wherever it stands in an error, and an error that is none is no panic.
func TestText(t *testing.T) {
	t.Parallel()
	full := errors.New("fprom: the queue is full")
	for _, tt := range []struct {
		err  any
		want string
	}{
		{full, "the queue is full"},
		{fmt.Errorf("fprom: shopify: %w", full), "shopify: the queue is full"},
		{errors.Join(full, full), "the queue is full\nthe queue is full"},
		{"runtime error", "runtime error"},
		{errors.New("of ann@example.com\nand ann%40b.com"), "of [address]\nand [address]"},
		{nil, "<nil>"},
	} {
		if got := safelog.Text(tt.err); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
		if got := safelog.Error(tt.err); got.Key != "error" || got.Value.String() != tt.want {
			t.Errorf("attribute %v", got)
		}
	}
}

func TestForeign(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                                   "",
		"  two\n\x1b[31mlines\t":             "two [31mlines",
		"key k-1, k-1":                       "key [API key], [API key]",
		"of ann@example.com and ann%40b.com": "of [address] and [address]",
		"not UTF-8: \xff":                    "not UTF-8: ?",
		strings.Repeat("é", 150):             strings.Repeat("é", 100) + "…",
	} {
		if got := safelog.Foreign(s, "k-1"); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if got := safelog.Foreign("no key", ""); got != "no key" {
		t.Errorf("without a secret: %q", got)
	}
}
