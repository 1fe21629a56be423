package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme holds the README and the documents to code that is compiled: each of their Go blocks is in one of these files,
// line for line, whatever the indentation. Those outside of this directory are compiled by the tests of their own module.
func TestReadme(t *testing.T) {
	var files []string
	for _, file := range []string{"main.go", "main_test.go", "../gin/main.go", "snippets_test.go", "operations_test.go", "../../../promfprom/example_test.go", "../../../riverqueue/example_test.go", "../../../fiberadapter/example_test.go"} {
		files = append(files, unindented(read(t, file)))
	}
	code := strings.Join(files, "\n")
	for _, document := range documents(t) {
		for i, b := range strings.Split(read(t, document), "```go\n") {
			if i == 0 {
				continue
			}
			b, _, _ = strings.Cut(b, "```")
			for part := range strings.SplitSeq(unindented(b), "\n…\n") {
				if !strings.Contains(code, "\n"+strings.Trim(part, "\n")+"\n") {
					t.Errorf("this block of %s is not in the code that is compiled:\n%s", filepath.Base(document), part)
				}
			}
		}
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../../docs/*.md")
	if err != nil || len(files) < 5 {
		t.Fatalf("documents: %v, %v", files, err)
	}
	return append(files, "../../../README.md", "../../../CONTRIBUTING.md")
}

// TestLinks looks for the files that the README and the documents point to.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	for _, file := range documents(t) {
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
