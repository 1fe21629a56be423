package fprom_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/fprom-go/fprom"
)

func TestCaptureReferral(t *testing.T) {
	t.Parallel()
	const attributes = "; Path=/; Max-Age=5184000; SameSite=Lax"
	secure := strings.Replace(attributes, "; SameSite", "; Secure; SameSite", 1)
	for _, tt := range []struct {
		name, method, target, cookie, proto string
		tls                                 bool
		opts                                []fprom.CaptureOption
		want                                string // Set-Cookie
	}{
		{name: "no query", target: "/"},
		{name: "another query", target: "/?page=2"},
		{name: "fpr", target: "/?fpr=anna", want: "_fprom_ref=anna" + attributes},
		{name: "via", target: "/pricing?via=anna", want: "_fprom_ref=anna" + attributes},
		{name: "fp_ref", target: "/?fp_ref=anna", want: "_fprom_ref=anna" + attributes},
		{name: "deal", target: "/?deal=anna", want: "_fprom_ref=anna" + attributes},
		{name: "ref", target: "/?ref=anna", want: "_fprom_ref=anna" + attributes},
		{name: "_from", target: "/?_from=anna", want: "_fprom_ref=anna" + attributes},
		{name: "_by", target: "/?_by=anna", want: "_fprom_ref=anna" + attributes},
		{name: "_go", target: "/?_go=anna", want: "_fprom_ref=anna" + attributes},
		{name: "fpr before ref", target: "/?ref=newsletter&fpr=anna", want: "_fprom_ref=anna" + attributes},
		{name: "first usable", target: "/?fpr=null&ref=anna", want: "_fprom_ref=anna" + attributes},
		{name: "a promoter called Nan", target: "/?via=Nan", want: "_fprom_ref=Nan" + attributes},
		{name: "HEAD", method: http.MethodHead, target: "/?fpr=anna", want: "_fprom_ref=anna" + attributes},
		{name: "POST", method: http.MethodPost, target: "/?fpr=anna"},
		{name: "empty", target: "/?fpr="},
		{name: "too long", target: "/?fpr=" + strings.Repeat("a", 256)},
		{name: "header injection", target: "/?fpr=" + url.QueryEscape("a\r\nSet-Cookie: b=c")},
		{name: "attribute injection", target: "/?fpr=" + url.QueryEscape("a; Domain=example.org")},
		{name: "not ASCII", target: "/?fpr=%C3%A9"},
		{name: "not UTF-8", target: "/?fpr=%FF"},
		{name: "broken escape", target: "/?x=%zz&fpr=anna", want: "_fprom_ref=anna" + attributes},
		{name: "first click stays", target: "/?fpr=anna", cookie: "_fprom_ref=bert"},
		{name: "broken cookie is replaced", target: "/?fpr=anna", cookie: "_fprom_ref=undefined", want: "_fprom_ref=anna" + attributes},
		{name: "last click", target: "/?fpr=anna", cookie: "_fprom_ref=bert", opts: []fprom.CaptureOption{fprom.WithLastClick()}, want: "_fprom_ref=anna" + attributes},
		{name: "TLS", target: "/?fpr=anna", tls: true, want: "_fprom_ref=anna" + secure},
		{name: "proxy", target: "/?fpr=anna", proto: "https", want: "_fprom_ref=anna" + secure},
		{name: "proxy without TLS", target: "/?fpr=anna", proto: "http", want: "_fprom_ref=anna" + attributes},
		{
			name: "domain", target: "/?fpr=anna", opts: []fprom.CaptureOption{fprom.WithCookieDomain("example.com")},
			want: "_fprom_ref=anna" + strings.Replace(attributes, "; Max-Age", "; Domain=example.com; Max-Age", 1),
		},
		{name: "own parameters", target: "/?ref=news", opts: []fprom.CaptureOption{fprom.WithQueryParams("fpr")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			called := false
			h := fprom.CaptureReferral(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				called = true
				w.WriteHeader(http.StatusAccepted)
			}), tt.opts...)
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", http.NoBody)
			if tt.method != "" {
				r.Method = tt.method
			}
			u, err := url.Parse(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			r.URL = u
			if tt.tls {
				r.TLS = &tls.ConnectionState{}
			}
			for name, value := range map[string]string{"Cookie": tt.cookie, "X-Forwarded-Proto": tt.proto} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := strings.Join(w.Header()["Set-Cookie"], "|"); got != tt.want {
				t.Errorf("Set-Cookie: %q, want %q", got, tt.want)
			}
			if !called || w.Code != http.StatusAccepted {
				t.Errorf("handler called %v, status %d", called, w.Code)
			}
		})
	}
}

// What is captured comes back as the attribution of the next request.
func TestCaptureReferralRoundTrip(t *testing.T) {
	t.Parallel()
	h := fprom.CaptureReferral(http.RedirectHandler("/", http.StatusFound))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?via=anna-1", http.NoBody))
	next := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout", http.NoBody)
	res := w.Result()
	defer func() { _ = res.Body.Close() }()
	for _, c := range res.Cookies() {
		next.AddCookie(c)
	}
	if got := fprom.AttributionFrom(next); got.RefID != "anna-1" {
		t.Errorf("attribution %+v", got)
	}
}

func FuzzCaptureReferral(f *testing.F) {
	f.Add("fpr=anna", "_fprom_ref=bert")
	f.Add("via=%0d%0aSet-Cookie:%20a=b&ref=;", "")
	h := fprom.CaptureReferral(http.NotFoundHandler())
	f.Fuzz(func(t *testing.T, query, cookie string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.URL.RawQuery = query
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for _, line := range w.Header()["Set-Cookie"] {
			c, err := http.ParseSetCookie(line)
			if err != nil || c.Name != "_fprom_ref" || c.MaxAge != 5184000 || c.Domain != "" || len(c.Value) > 255 {
				t.Errorf("Set-Cookie: %q, %v", line, err)
			}
		}
	})
}

// Gin: wrap the engine.
func ExampleCaptureReferral_gin() {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "welcome") })
	server := &http.Server{Handler: fprom.CaptureReferral(engine)}

	w := httptest.NewRecorder()
	server.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?via=anna", http.NoBody))
	body, _ := io.ReadAll(w.Body)
	fmt.Println(w.Header().Get("Set-Cookie"))
	fmt.Println(string(body))
	// Output:
	// _fprom_ref=anna; Path=/; Max-Age=5184000; SameSite=Lax
	// welcome
}
