package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom/internal/postgres"
)

var (
	program  string // the binary under test
	database string // a PostgreSQL
	update   = flag.Bool("update", false, "write the golden files anew")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if f := flag.Lookup("test.parallel"); runtime.GOMAXPROCS(0) < 4 && f.Value.String() == f.DefValue { // half of the time the tests wait
			if err := f.Value.Set("4"); err != nil {
				panic(err)
			}
		}
		dir, err := os.MkdirTemp("", "fprom")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		program = filepath.Join(dir, "fprom")
		if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		if database = os.Getenv("FPROM_TEST_POSTGRES"); database == "" {
			server, err := postgres.Start(context.Background())
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer func() { _ = server.Stop() }()
			database = server.URL
		}
		return m.Run()
	}())
}

// env is what the program's environment has besides PATH and HOME.
type env map[string]string

// with is e with the pairs of more.
func (e env) with(more env) env {
	all := maps.Clone(e)
	if all == nil {
		all = env{}
	}
	maps.Copy(all, more)
	return all
}

func (e env) list() []string {
	list := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TZ=UTC"}
	for k, v := range e {
		list = append(list, k+"="+v)
	}
	return list
}

// ran is a run that has ended.
type ran struct {
	args     string
	code     int
	out, err string
}

func command(t *testing.T, e env, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // longer than any --wait
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir = e.list(), t.TempDir()
	return cmd
}

// said is what a program that still runs has written.
type said struct {
	mu  sync.Mutex
	all strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// fprom runs the program to its end.
func fprom(t *testing.T, e env, args ...string) ran {
	t.Helper()
	cmd := command(t, e, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, is := errors.AsType[*exec.ExitError](err); err != nil && !is {
		t.Fatalf("fprom %s: %v", strings.Join(args, " "), err)
	} else if is && exit.ExitCode() < 0 {
		t.Fatalf("fprom %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return ran{strings.Join(args, " "), cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func (r ran) String() string {
	return fmt.Sprintf("fprom %s: exit %d\n%s%s", r.args, r.code, r.out, r.err)
}

// want fails unless the exit status is code.
func (r ran) want(t *testing.T, code int) ran {
	t.Helper()
	if r.code != code {
		t.Fatalf("want exit %d: %s", code, r)
	}
	return r
}

// object decodes stdout, which must be exactly one JSON object.
func (r ran) object(t *testing.T, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.out))
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, r)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one object: %s", r)
	}
}

// outboxName is how doctor names an outbox.
var outboxName = regexp.MustCompile(`\S+ can be opened`)

// volatile is what differs from run to run.
var volatile = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\d+ (ms|s|min|h|min \d+ s|h \d+ min|days) ago`), "AGE ago"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST"},
	{regexp.MustCompile(`answer after [^\n"]+`), "answer after SPAN"},
	{regexp.MustCompile(`asked again in [^\s"]+`), "asked again in SPAN"},
	{regexp.MustCompile(`(--after |"next": ")[^\s",]+`), "${1}CURSOR"},
	{regexp.MustCompile(`/tmp/[\w./-]+/`), "DIR/"},
}

// golden compares what a run printed with testdata/name.
func (r ran) golden(t *testing.T, name string) {
	t.Helper()
	got := fmt.Sprintf("$ fprom %s\n%s%sexit status %d\n", r.args, r.out, r.err, r.code)
	for _, v := range volatile {
		got = v.re.ReplaceAllString(got, v.by)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s (go test -update writes it anew)\n--- want\n%s\n--- got\n%s", path, want, got)
	}
}
