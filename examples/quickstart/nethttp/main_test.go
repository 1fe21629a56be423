package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/boltqueue"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/nethttpadapter"
)

func post(t *testing.T, h http.Handler, path, cookie string, form url.Values) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", cookie)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestCheckout(t *testing.T) {
	fake := fpromtest.NewServer(t) // answers as FirstPromoter does
	fake.AddLead("ann@example.com")
	tracker := fpromtest.NewTracker(t, fake)
	shop := nethttpadapter.Middleware(tracker)(http.HandlerFunc(checkout))

	post(t, shop, "/checkout", "", url.Values{"payment": {"ch_1"}, "email": {"ann@example.com"}})
	if err := tracker.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fake.Commissions(); len(got) != 1 || got[0].SaleAmount != 4900 {
		t.Errorf("commissions: %+v", got)
	}
}

// TestSignup is the README's visitor: the cookie at the sign-up, none at the purchase.
func TestSignup(t *testing.T) {
	fake := fpromtest.NewServer(t)
	fake.AddVisitor("visitor-1")
	tracker := fpromtest.NewTracker(t, fake)
	ann := url.Values{"payment": {"ch_1"}, "email": {"ann@example.com"}}
	for _, step := range []struct {
		path, cookie string
		handler      http.HandlerFunc
	}{
		{"/signup", "_fprom_tid=visitor-1", signup},
		{"/signup", "", signup}, // nobody brought this one: nothing is reported
		{"/checkout", "", checkout},
	} {
		if code := post(t, nethttpadapter.Middleware(tracker)(step.handler), step.path, step.cookie, ann); code != http.StatusOK {
			t.Fatalf("POST %s: %d", step.path, code)
		}
	}
	if err := tracker.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(fake.Commissions()) != 1 || fake.Count(fprom.KindSignup, "") != 1 {
		t.Errorf("%d commissions and %d sign-ups, want 1 of each", len(fake.Commissions()), fake.Count(fprom.KindSignup, ""))
	}
}

// TestOutbox: what is accepted in a file is delivered by the next process.
func TestOutbox(t *testing.T) {
	file := t.TempDir() + "/fprom.db"
	fake := fpromtest.NewServer(t)
	fake.AddLead("ann@example.com")
	fake.Inject(fpromtest.Status(http.StatusServiceUnavailable))
	for _, grace := range []time.Duration{500 * time.Millisecond, 30 * time.Second} {
		queue, err := boltqueue.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		cfg := fake.Config()
		cfg.Queue, cfg.Logger = queue, slog.New(slog.DiscardHandler)
		tracker, err := fprom.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		post(t, nethttpadapter.Middleware(tracker)(http.HandlerFunc(checkout)), "/checkout", "", url.Values{"payment": {"ch_1"}, "email": {"ann@example.com"}})
		ctx, cancel := context.WithTimeout(t.Context(), grace)
		if err := tracker.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		fake.Heal()
	}
	if n := len(fake.Commissions()); n != 1 {
		t.Errorf("%d commissions, want 1", n)
	}
}

// TestReadme holds the README and docs/adapters.md to the code that is compiled here and in the examples: each of its Go blocks is in one of
// these files, line for line, whatever the indentation.
func TestReadme(t *testing.T) {
	readme := read(t, "../../../README.md") + read(t, "../../../docs/adapters.md")
	var files []string
	for _, file := range []string{"main.go", "main_test.go", "../gin/main.go", "snippets_test.go"} {
		files = append(files, unindented(read(t, file)))
	}
	code := strings.Join(files, "\n")
	blocks := strings.Split(readme, "```go\n")[1:]
	if len(blocks) < 4 {
		t.Fatalf("%d Go blocks in the README", len(blocks))
	}
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		for part := range strings.SplitSeq(unindented(b), "\n…\n") {
			if !strings.Contains(code, "\n"+strings.Trim(part, "\n")+"\n") {
				t.Errorf("this block of the README is not in the code that is compiled:\n%s", part)
			}
		}
	}
}

// TestLinks looks for the files that the README and the documents point to.
func TestLinks(t *testing.T) {
	const root = "../../.."
	files, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(files) < 5 {
		t.Fatalf("documents: %v, %v", files, err)
	}
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for _, file := range append(files, root+"/README.md", root+"/CONTRIBUTING.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s points to %s: %v", filepath.Base(file), m[1], err)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// unindented leaves out what gofmt chooses: indentation, and blanks in front of comments.
func unindented(s string) string {
	var lines []string
	for l := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(l), " "))
	}
	return strings.Join(lines, "\n")
}
