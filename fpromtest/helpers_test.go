package fpromtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/fprom-go/fprom/fpromtest"
)

// answer is what a plain HTTP client gets to see.
type answer struct {
	status int
	header http.Header
	body   string
}

// newRequest is a request as FirstPromoter documents it. A path that begins with "/" is appended to the base URL.
func newRequest(t *testing.T, s *fpromtest.Server, path, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.APIKey)
	req.Header.Set("Account-ID", s.AccountID)
	req.Header.Set("Content-Type", "application/json")
	return req
}

// do sends a request with a plain client: over its own sockets, or in memory.
func do(t *testing.T, s *fpromtest.Server, req *http.Request) (answer, error) {
	t.Helper()
	c := s.Config().HTTPClient
	if c == nil {
		tr := &http.Transport{DisableCompression: true}
		defer tr.CloseIdleConnections()
		c = &http.Client{Transport: tr}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

// post sends a documented request that must be answered.
func post(t *testing.T, s *fpromtest.Server, path, body string) answer {
	t.Helper()
	a, err := do(t, s, newRequest(t, s, path, body))
	if err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	return a
}

// contains reports whether a JSON value has everything that want has.
func contains(got, want any) bool {
	if w, ok := want.(map[string]any); ok {
		g, ok := got.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if x, ok := g[k]; !ok || !contains(x, v) {
				return false
			}
		}
		return true
	}
	if w, ok := want.([]any); ok {
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !contains(g[i], w[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}

func parse(t *testing.T, s string) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q is not JSON: %v", s, err)
	}
	return v
}
