package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fprom-go/fprom/fpromtest"
)

// What a comparison found until it was interrupted is told: the run that goes on does not look at those days again.
func TestReconcileInterrupted(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	day := time.Now().UTC().AddDate(0, 0, -60)
	fake.AddPastSale(fpromtest.PastSale{EventID: "in_native", Email: "jane@example.com", Amount: 1000, At: day.Add(24 * time.Hour)})
	path := filepath.Join(t.TempDir(), "old.csv")
	if err := os.WriteFile(path, []byte("event_id,email,amount,created_at\nold_1,bob@example.com,100,"+day.Format(time.RFC3339)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd := command(t, account(fake), "reconcile", "--sales", path, "--amount", "minor", "--from", today(-60), "--to", today(-1), "--full", "--rate", "30", "-o", "json")
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return fake.Count("company", "") >= 5 })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d", code)
	}
	if !strings.Contains(out.String(), "in_native") || !strings.Contains(out.String(), `"next"`) {
		t.Errorf("what was found before the interruption is not told: %q", out.String())
	}
}
