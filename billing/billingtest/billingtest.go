// Package billingtest is the test suite that every billing.Provider passes, those of package billing and those of others:
//
//	var suite = billingtest.Suite{Provider: acme.Provider(), Sign: sign, Sale: "payment.json"}
//
//	func TestGolden(t *testing.T)   { suite.Golden(t) }
//	func TestHandler(t *testing.T)  { suite.HandlerTable(t) }
//	func FuzzEvents(f *testing.F)   { suite.FuzzEvents(f) }
//	func FuzzHandler(f *testing.F)  { suite.FuzzHandler(f, "Acme-Signature") }
//
// OneSale and PartialRefunds check what the provider tells twice, and what it gives back in parts.
//
// The fixtures are webhooks in testdata/*.json (or *.xml, where the provider sends that). Beside each is a golden file: how the webhook is explained, and what is
// posted to FirstPromoter for it. With UPDATE_GOLDEN=1 in the environment the tests write them: read them before you commit.
package billingtest

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Suite is one provider as the suite sees it.
type Suite struct {
	Provider billing.Provider
	// Sign signs body for the present moment: it sets the headers that the provider sends.
	Sign func(h http.Header, body []byte, secret string)
	// Sale is the fixture of one plain sale, such as "payment.json".
	Sale string
	// For is the provider and the options for a fixture that needs others; nil: Provider and none.
	For func(fixture string) (billing.Provider, []billing.Option)
	// SharedSecret says that the provider sends the secret itself, and no signature: a changed body cannot be told.
	SharedSecret bool
	// Nothing is a body that means nothing; empty: {}.
	Nothing string
	// Secrets are three different signing secrets, as the provider makes them; empty: base64 after whsec_.
	Secrets [3]string
}

// With is the suite with another provider for every fixture, such as one with other options.
func (s Suite) With(v billing.Provider) Suite {
	s.Provider, s.For = v, nil
	return s
}

func (s Suite) of(fixture string) (billing.Provider, []billing.Option) {
	if s.For == nil {
		return s.Provider, nil
	}
	return s.For(fixture)
}

func (s Suite) secret(i int) string {
	if s.Secrets[i] != "" {
		return s.Secrets[i]
	}
	return [...]string{"whsec_dGhlIHNlY3JldA==", "whsec_YW5vdGhlcg==", "whsec_b2xkZXI="}[i]
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

// Golden compares what every fixture is explained as, and what is posted for it, with testdata/*.golden.
func (s Suite) Golden(t *testing.T) {
	t.Helper()
	for _, name := range fixtures(t) {
		base := strings.TrimSuffix(name, filepath.Ext(name))
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			v, opts := s.of(name)
			got := render(t, v, Read(t, name), opts)
			golden := base + ".golden"
			if os.Getenv("UPDATE_GOLDEN") != "" {
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

func render(t *testing.T, v billing.Provider, payload []byte, opts []billing.Option) string {
	t.Helper()
	x := v.Explain(payload, opts...)
	events, err := v.Events(payload, opts...)
	if err == nil && !slices.Equal(events, x.Events()) {
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

// fixtures are the names of testdata/*.json and *.xml.
func fixtures(tb testing.TB) []string {
	tb.Helper()
	entries, err := os.ReadDir("testdata")
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".json" || ext == ".xml" {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		tb.Fatal("no fixtures")
	}
	return names
}
