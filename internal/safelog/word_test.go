package safelog_test

import (
	"os/exec"
	"testing"

	"github.com/fprom-go/fprom/internal/safelog"
)

// Whatever an id or a column's name has in it, a shell reads it as one word and runs nothing.
func TestWord(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"sale:ch_1", "", "Order 12", "Customer's ID=event_id", "#1042", "$(false)", "`false`", `a\`, "~", "a;b", `"`, "*"} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf '%s|' "+safelog.Word(s)).Output()
		if err != nil || string(out) != s+"|" {
			t.Errorf("%q is %s for a shell, which reads %q, %v", s, safelog.Word(s), out, err)
		}
	}
	if got := safelog.Word("sale:ch_1"); got != "sale:ch_1" {
		t.Errorf("quotes without need: %s", got)
	}
}
