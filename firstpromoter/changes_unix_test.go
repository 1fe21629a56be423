//go:build unix

package firstpromoter_test

import (
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/fprom-go/fprom/firstpromoter"
)

// A webhook for which the disk has no room is refused, so that it comes again. It leaves no half of a line, and costs no other line, also
// after a restart. The test is not parallel: the limit is that of the process.
func TestChangesOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "changes.jsonl")
	webhook := func(id string) string { return hook(id, "commission.denied", 7, "2026-03-10T12:00:00Z") }
	var lines []byte
	for _, id := range []string{"w1", "w2", "w3"} { // each in a new process, which finds the lines of those before
		c, err := firstpromoter.OpenChanges(path)
		if err != nil {
			t.Fatal(err)
		}
		r := receiver(t, firstpromoter.WebhookOptions{Changes: c, Logger: slog.New(slog.DiscardHandler)})
		if id == "w3" {
			if code := fill(t, func() int { return deliver(t, r, webhook(id)) }); code != 500 {
				t.Errorf("without room: %d", code)
			}
			if b, _ := os.ReadFile(path); string(b) != string(lines) {
				t.Errorf("the file was %q, and is %q", lines, b)
			}
		}
		if code := deliver(t, r, webhook(id)); code != 200 {
			t.Errorf("%s: %d", id, code)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		b, _ := os.ReadFile(path)
		if string(b[:len(lines)]) != string(lines) || len(b) <= len(lines) || b[len(b)-1] != '\n' {
			t.Errorf("the file was %q, and is %q", lines, b)
		}
		lines = b
	}
}

// fill calls f while no file of the process may have more than 250 bytes.
func fill(t *testing.T, f func() int) int {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 250, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Error(err)
		}
	}()
	return f()
}
