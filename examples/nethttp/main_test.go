package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fprom-go/fprom/examples/internal/exampletest"
)

// TestRun does what the program tells a new user to do: the curl lines, and Ctrl-C.
func TestRun(t *testing.T) { exampletest.Shop(t, run) }

// TestRunLeavesSales ends the program while the queue in memory has a sale.
func TestRunLeavesSales(t *testing.T) { exampletest.LeavesSales(t, run) }

func TestRunSaysWhatIsWrong(t *testing.T) { exampletest.SaysWhatIsWrong(t, run) }

// TestOperator does what the program tells an operator to do.
func TestOperator(t *testing.T) {
	exampletest.WithoutCredentials(t)
	calls, stop := exampletest.Start(t, run, 5, "-outbox", t.TempDir()+"/fprom.db")
	calls[0].Do(t, http.StatusOK)
	calls[2].AwaitTracked(t, 1)
	if status := string(calls[3].Do(t, http.StatusOK)); !strings.Contains(status, `"state": "ok"`) || !strings.Contains(status, `"ledger": 1`) {
		t.Errorf("status.json: %s", status)
	}
	for host, want := range map[string]int{"evil.test:8080": 403, "evil.test": 403, "localhost": 200, "127.0.0.1": 200, "[::1]": 200, "[::1]:8080": 200} {
		calls[3].As(host).Do(t, want)
	}
	if metrics := string(calls[4].Do(t, http.StatusOK)); !strings.Contains(metrics, `fprom_events_total{kind="sale",outcome="tracked"} 1`) {
		t.Errorf("metrics: %s", metrics)
	}
	if code, _ := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
