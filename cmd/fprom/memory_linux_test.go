package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A million rows into the file of an outbox: less than 64 MiB of memory, with the pages of files that are mapped. Run
// again over the file that has them all, the program's own memory is the same; the file is mapped once when it is opened.
func TestAMillionRows(t *testing.T) {
	t.Parallel()
	rows := 1_000_000
	if testing.Short() || raceEnabled {
		rows = 30_000
	}
	path := emptyOutbox(t)
	const most = 64 << 10 // KiB
	for _, c := range []struct {
		name   string
		args   []string
		known  bool
		mapped bool
	}{
		{"a dry run", []string{"--dry-run"}, false, true},
		{"into a file", []string{"--outbox", path}, false, true},
		{"into a file that has them", []string{"--outbox", path}, true, false},
	} {
		begin := time.Now()
		v, own, peak := fillMany(t, rows, c.args...)
		t.Logf("%s: %d rows, %.0f a second, %d MiB of memory, %d MiB with mapped pages",
			c.name, rows, float64(rows)/time.Since(begin).Seconds(), own>>10, peak>>10)
		if v.Rows != rows || v.Queued+v.Known != rows || c.known != (v.Queued == 0) {
			t.Errorf("%s: %+v", c.name, v)
		}
		if peak == 0 || own >= most || c.mapped && peak >= most {
			t.Errorf("%s: %d KiB of memory, %d KiB with mapped pages, want less than %d", c.name, own, peak, most)
		}
	}
}

// fillMany runs backfill over generated rows, and returns the most memory that it took, in KiB.
func fillMany(t *testing.T, rows int, args ...string) (v filled2, own, peak int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, append([]string{"backfill", "-", "--amount", "minor", "-o", "json"}, args...)...)
	var out bytes.Buffer
	cmd.Env, cmd.Stdout = env{}.list(), &out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	looked := make(chan struct{})
	go func() {
		writeRows(in, rows)
		<-looked // it does not end before
		_ = in.Close()
	}()
	look := func() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		own, peak = max(own, memory(b, "RssAnon")), max(peak, memory(b, "VmHWM"))
	}
	look()
	close(looked)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err == nil {
				err = json.Unmarshal(out.Bytes(), &v)
			}
			if err != nil {
				t.Fatalf("%v: %s", err, out.Bytes())
			}
			return v, own, peak
		case <-time.After(20 * time.Millisecond):
			look()
		}
	}
}

// memory reads a line of /proc/PID/status.
func memory(status []byte, name string) (kib int) {
	_, rest, _ := bytes.Cut(status, []byte(name+":"))
	_, _ = fmt.Sscanf(string(rest), "%d", &kib)
	return kib
}

func writeRows(to io.Writer, n int) {
	w := bufio.NewWriter(to)
	_, _ = w.WriteString("event_id,email,amount,currency,created_at\n")
	at := time.Date(2024, 3, 10, 12, 0, 0, 0, time.UTC)
	for i := range n {
		_, _ = fmt.Fprintf(w, "past_%08d,customer%07d@example.com,%d,USD,%s\n", i, i, 500+i%1000, at.Add(time.Duration(i)*time.Minute).Format(time.RFC3339))
	}
	_ = w.Flush()
}
