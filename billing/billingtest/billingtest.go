// Package billingtest is a test suite for any billing.Provider. The providers of this module pass it:
//
//	var suite = billingtest.Suite{Provider: acme.Provider(), Sign: sign, Sale: "payment.json"}
//
//	func TestGolden(t *testing.T)   { suite.Golden(t) }
//	func TestHandler(t *testing.T)  { suite.HandlerTable(t) }
//	func FuzzEvents(f *testing.F)   { suite.FuzzEvents(f) }
//	func FuzzHandler(f *testing.F)  { suite.FuzzHandler(f, "Acme-Signature") }
//
// OneSale and PartialRefunds check payments that the provider reports twice, and refunds in parts.
//
// The fixtures are webhooks in testdata/*.json (or *.xml, if the provider sends XML). Each has a golden file beside it, with the
// explanation of the webhook and the requests to FirstPromoter. With UPDATE_GOLDEN=1 in the environment the tests write the golden
// files: read them before you commit.
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

// Suite describes the provider under test.
type Suite struct {
	Provider billing.Provider
	// Sign sets the headers of a webhook that the provider would sign now.
	Sign func(h http.Header, body []byte, secret string)
	// Sale is a fixture that leads to exactly one sale, such as "payment.json".
	Sale string
	// For returns the provider and the options for a fixture. Nil: Provider without options.
	For func(fixture string) (billing.Provider, []billing.Option)
	// SharedSecret says that the provider sends the secret itself instead of a signature. Then a changed body is not detected.
	SharedSecret bool
	// Nothing is a body that leads to no event. Empty: {}.
	Nothing string
	// Secrets are three different signing secrets in the provider's form. Empty: base64 with the prefix whsec_.
	Secrets [3]string
}

// With returns the suite with another provider for every fixture, such as one with other options.
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

// Read returns the content of a file in testdata.
func Read(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name)) //nolint:gosec // a file of the test
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Golden compares the explanation and the requests of every fixture with testdata/*.golden.
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

// fixtures returns the names of testdata/*.json and *.xml.
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
