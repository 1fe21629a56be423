package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme holds the README and some documents to the code that is compiled here: each of their Go blocks is in one of these
// files, line for line, whatever the indentation.
func TestReadme(t *testing.T) {
	readme := read(t, "../../../README.md") + read(t, "../../../docs/adapters.md") + read(t, "../../../docs/webhooks.md")
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
