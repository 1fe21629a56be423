package fpromtest_test

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
)

var _ fprom.Queue = (*model)(nil)

func TestMemoryQueue(t *testing.T) {
	t.Parallel()
	fpromtest.TestQueue(t, func(*testing.T) fprom.Queue { return fprom.NewMemoryQueue(0) })
}

// TestModelQueue shows that the suites pass for a queue without bugs. With a bug in the environment it fails, which
// TestSuitesFindBugs wants to see.
func TestModelQueue(t *testing.T) {
	t.Parallel()
	bug := os.Getenv("FPROMTEST_BUG")
	var stores sync.Map // by directory
	open := func(t *testing.T, dir string) fprom.Queue {
		t.Helper()
		if bug == "leaks" {
			go func() { select {} }()
		}
		s, _ := stores.LoadOrStore(dir, &modelStore{})
		return &model{store: s.(*modelStore), bug: bug}
	}
	t.Run("any", func(t *testing.T) {
		fpromtest.TestQueue(t, func(t *testing.T) fprom.Queue {
			t.Helper()
			return open(t, t.TempDir())
		})
	})
	t.Run("durable", func(t *testing.T) { fpromtest.TestDurableQueue(t, open) })
}

// TestSuitesFindBugs runs one test of a suite at a time in a process of its own, with a queue that breaks the rule.
func TestSuitesFindBugs(t *testing.T) {
	t.Parallel()
	tests := []struct{ bug, test, want string }{
		{"stores twice", "any/stores_a_key_once", "delivered 2 times"},
		{"never done", "any/delivers_what_was_put", "times, want 1"},
		{"loses the customer", "any/delivers_what_was_put", "want {Key:"},
		{"counts from 0", "any/delivers_what_was_put", "has Attempt 0"},
		{"blind to conflicts", "any/reports_a_conflict_within", "want ErrConflict"},
		{"conflict replaces", "any/reports_a_conflict_and", "delivered body"},
		{"newest first", "any/delivers_oldest_first", "one worker delivered"},
		{"no order", "any/keeps_a_customer", "deliveries of one customer"},
		{"no order", "any/lets_others_overtake", "was delivered while another message of its customer was"},
		{"one worker more", "any/uses_workers", "at once, want 3"},
		{"no delay", "any/waits_as_long", "tried again after"},
		{"counts held", "any/does_not_count_a_held", "[1 2 3]"},
		{"retries permanent", "any/does_not_offer_a_permanent", "a permanent failure was delivered"},
		{"does not wait", "any/returns_from_Run", "Run returned while a delivery was under way"},
		{"run error", "any/returns_from_Run", "want nil"},
		{"counts interrupted", "any/does_not_count_an_interrupted", "with Attempt 0"},
		{"drops late outcomes", "any/keeps_an_outcome", "which have an outcome"},
		{"flush waits for none", "any/flushes", "want the context's error"},
		{"stats of nothing", "any/tells_its_state", "want 2 pending"},
		{"lists newest first", "any/lists_what_is_left", "Undelivered: "},
		{"close twice", "any/tells_its_state", "Close, call 2"},
		{"leaks", "any/tells_its_state", "goroutines are left"},
		{"loses attempts", "durable/keeps_the_number", "has Attempt 1, want 2"},
		{"counts interrupted", "durable/does_not_count", "has Attempt 2, want 1"},
		{"drops late outcomes", "durable/keeps_an_outcome", "delivered again"},
		{"forgets done", "durable/remembers_ids", "want 1"},
		{"loses all", "durable/reports_a_conflict", "want ErrConflict"},
		{"put after close", "durable/refuses_Put", "which says that the message is stored"},
	}
	atOnce := make(chan struct{}, 8) // they sleep more than they work
	results := make([]chan error, len(tests))
	outputs := make([][]byte, len(tests))
	for i, tt := range tests {
		results[i] = make(chan error, 1)
		go func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=60s", "-test.run=^TestModelQueue$/"+strings.ReplaceAll(tt.test, "/", "/^"))
			cmd.Env = append(os.Environ(), "FPROMTEST_BUG="+tt.bug)
			var err error
			outputs[i], err = cmd.CombinedOutput()
			results[i] <- err
		}()
	}
	for i, tt := range tests {
		t.Run(tt.bug+"/"+tt.test, func(t *testing.T) {
			if err := <-results[i]; err == nil || !strings.Contains(string(outputs[i]), tt.want) {
				t.Errorf("a queue with the bug %q: %v, want a failure that says %q:\n%s", tt.bug, err, tt.want, outputs[i])
			}
		})
	}
}
