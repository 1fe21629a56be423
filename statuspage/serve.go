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
	// With "no-referrer" browsers send no usable Origin with a form, and act would refuse it as a form of another site.
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

// resource is the last part of the path, or "" for the page itself. It ignores the rest of the path: so the page works under
// any prefix, stripped or not.
func resource(r *http.Request) string {
	switch last := path.Base(r.URL.Path); {
	case last == "healthz" || last == "readyz" || last == "status.json":
		return last
	case strings.HasSuffix(r.URL.Path, "/"):
		return ""
	}
	// Relative links need a slash at the end of the page's address. RequestURI still has a stripped prefix.
	u, err := url.ParseRequestURI(r.RequestURI)
	if err != nil || strings.HasSuffix(u.Path, "/") {
		return ""
	}
	return path.Base(u.Path)
}

// toSlash redirects to the same address with a slash at the end. The redirect is relative, since the prefix is not known.
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

// policy sets a policy by which the page loads nothing, and only its own style and script are used.
func policy(h http.Header) (nonce string) {
	nonce = rand.Text()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+"'; "+
		"img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	return nonce
}
