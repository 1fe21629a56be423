package safelog_test

import (
	"errors"
	"fmt"
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
