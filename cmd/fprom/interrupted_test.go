package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
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

// What is missing is sent again at the end: after an interruption a run over the days that are left would never send it.
func TestRedriveInterrupted(t *testing.T) {
	t.Parallel()
	fake := fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
	day := time.Now().UTC().AddDate(0, 0, -60)
	fake.AddPastSale(fpromtest.PastSale{EventID: "older", Email: "jane@example.com", Amount: 100, At: day.AddDate(0, 0, -9)})
	path := filepath.Join(t.TempDir(), "old.csv")
	if err := os.WriteFile(path, []byte("event_id,email,amount,created_at\nold_1,jane@example.com,100,"+day.Format(time.RFC3339)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	cmd := command(t, account(fake), "reconcile", "--sales", path, "--amount", "minor", "--from", today(-60), "--to", today(-1), "--full", "--rate", "30", "--redrive")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return fake.Count("company", "") >= 6 }) // the second fortnight is being read
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || fake.Count("sale", "") != 0 {
		t.Errorf("exit %d", code)
	}
	if !strings.Contains(out.String(), "missing: 1") || !strings.Contains(errs.String(), "nothing was sent again yet: run the same command again") {
		t.Errorf("%s%s", out.String(), errs.String())
	}
}

// Ctrl-C ends a command that reads from a pipe in which nothing comes.
func TestInterruptedWhileItReads(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"backfill", "-", "--amount", "minor"}, {"explain", "stripe"}, {"backfill", "/dev/fd/3", "--amount", "minor"}} {
		cmd := command(t, env{"FPROM_OUTBOX": emptyOutbox(t)}, args...)
		out, in, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = in.Close(), out.Close() })
		cmd.Stdin, cmd.ExtraFiles = out, []*os.File{out} // the second as the <(…) of a shell
		var errs strings.Builder
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		rows := "event_id,email,amount,currency\n" + strings.Repeat("ch_1,jane@example.com,100,USD\n", 10_000)
		if _, err := in.WriteString(rows); err != nil { // it ends when the program reads: a pipe does not hold so much
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // it waits for more
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("%q: exit %d: %s", args, code, errs.String())
		}
	}
}

// Ctrl-C is no answer of the endpoint.
func TestTriggerInterrupted(t *testing.T) {
	t.Parallel()
	asked := make(chan bool)
	shop := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(shop.Close)
	cmd := command(t, nil, "trigger", "stripe", "invoice.paid", "--to", shop.URL, "--secret", "x")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
