// Package hooktest is the test suite that every billing provider passes.
package hooktest

import (
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing/internal/convert"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// Suite is one provider as the suite sees it.
type Suite struct {
	Handler func(t fprom.Enqueuer, secret string, opts ...convert.Option) http.Handler
	Events  func(payload []byte, opts ...convert.Option) ([]fprom.Event, error)
	Explain func(payload []byte, opts ...convert.Option) convert.Explanation
	Sign    func(h http.Header, body []byte, secret string) // signs for the present moment
	Refused int                                             // the status of a wrong signature
	Sale    string                                          // the fixture of one plain sale, such as "subscription.json"
	Options func(fixture string) []convert.Option           // options that a fixture needs; nil: none
}

func (s Suite) options(fixture string) []convert.Option {
	if s.Options == nil {
		return nil
	}
	return s.Options(fixture)
}

// Read is the content of a file in testdata.
func Read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name)) //nolint:gosec // a file of the test
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Golden compares what every testdata/*.json is explained as, and what is posted for it, with testdata/*.golden. Run it
// with -update to rewrite those.
func (s Suite) Golden(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".json"), func(t *testing.T) {
			t.Parallel()
			got := s.render(t, Read(t, name), s.options(name))
			golden := strings.TrimSuffix(name, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(filepath.Join("testdata", golden), []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(Read(t, golden)); got != want {
				t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
			}
		})
	}
}

func (s Suite) render(t *testing.T, payload []byte, opts []convert.Option) string {
	t.Helper()
	x := s.Explain(payload, opts...)
	events, err := s.Events(payload, opts...)
	if !errors.Is(err, x.Err) && err.Error() != x.Err.Error() {
		t.Errorf("Events says %v, Explain %v", err, x.Err)
	}
	if !slices.Equal(events, x.Events()) {
		t.Errorf("Events gives %v, Explain %v", events, x.Events())
	}
	var b strings.Builder
	b.WriteString(x.String())
	for _, e := range events {
		m, err := fprom.NewMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("POST /" + m.Kind + " " + string(m.Body) + "\n")
	}
	return b.String()
}
