package statuspage

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not "no-referrer": browsers then send no usable Origin with a form, and the form would be refused as another site's.
	h.Set("Referrer-Policy", "same-origin")
	what := resource(r)
	allowed := []string{http.MethodGet, http.MethodHead}
	if what == "" && p.Writable {
		allowed = append(allowed, http.MethodPost)
	}
	if !slices.Contains(allowed, r.Method) {
		h.Set("Allow", strings.Join(allowed, ", "))
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if what == "healthz" {
		plain(w, http.StatusOK, "ok")
		return
	}
	seen := p.Public || p.Auth(r)
	switch {
	case what == "readyz":
		p.serveReady(w, r, seen)
	case !seen:
		p.refuse(w)
	case what == "status.json":
		p.serveStatus(w, r)
	case what != "":
		toSlash(w, what)
	case r.Method == http.MethodPost:
		p.act(w, r)
	default:
		p.servePage(w, r)
	}
}

// resource is the last part of the path, "" for the page itself. Nothing else of the path counts, so that it does not
// matter under which prefix the page is mounted, and whether the prefix is stripped.
func resource(r *http.Request) string {
	switch last := path.Base(r.URL.Path); {
	case last == "healthz" || last == "readyz" || last == "status.json":
		return last
	case strings.HasSuffix(r.URL.Path, "/"):
		return ""
	}
	// The browser must see a slash at the end, or relative links lead elsewhere. A stripped prefix is still in RequestURI.
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || strings.HasSuffix(u.Path, "/") {
		return ""
	}
	return path.Base(u.Path)
}

// toSlash redirects to the same address with a slash at the end, relatively, as the prefix is not known.
func toSlash(w http.ResponseWriter, last string) {
	w.Header().Set("Location", "./"+url.PathEscape(last)+"/")
	w.WriteHeader(http.StatusFound)
}

func (p *page) refuse(w http.ResponseWriter) {
	if p.Challenge == "" {
		http.Error(w, "you may not see this page", http.StatusForbidden)
		return
	}
	w.Header().Set("WWW-Authenticate", p.Challenge)
	http.Error(w, "you may not see this page", http.StatusUnauthorized)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client has gone
}

// policy lets the page load nothing, and only the style and the script that are in it run.
func policy(h http.Header) (nonce string) {
	nonce = rand.Text()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+"'; "+
		"img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	return nonce
}
