package fprom

import "net/http"

// CaptureOption changes what CaptureReferral does.
type CaptureOption func(*capture)

type capture struct {
	params    []string
	domain    string
	overwrite bool
}

// CaptureReferral is for sites whose visitors block FirstPromoter's script. It keeps the referral id of a promoter's link
// (?fpr=, ?via=, ?fp_ref=, ?deal=, ?ref=, ?_from=, ?_by=, ?_go=; the first that has a usable value) in the cookie _fprom_ref
// for 60 days. The id is sent as ref_id of a sale only where the middleware has WithRefIDCookie: use both, or neither.
//
// It may wrap a whole server, a mux or a Gin engine, and needs no other middleware. It reads only the URL and the cookies of
// GET and HEAD requests, and changes nothing else of the response. A value that cannot be an id is ignored (see
// AttributionFrom).
//
// An existing cookie stays: the first promoter keeps the visitor (see WithLastClick). The cookie has SameSite=Lax and Path=/.
// It is Secure if the request came over TLS or X-Forwarded-Proto says https: a visitor who forges that header only changes
// their own cookie. Scripts can read the cookie, since FirstPromoter's script uses it too.
func CaptureReferral(next http.Handler, opts ...CaptureOption) http.Handler {
	c := &capture{params: []string{"fpr", "via", "fp_ref", "deal", "ref", "_from", "_by", "_go"}}
	for _, o := range opts {
		o(c)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := c.referral(r); id != "" {
			http.SetCookie(w, &http.Cookie{ //nolint:gosec // scripts share it, and plain HTTP has it too (see CaptureReferral)
				Name: cookieRef, Value: id, Path: "/", Domain: c.domain, MaxAge: 60 * 24 * 60 * 60, SameSite: http.SameSiteLaxMode,
				Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
			})
		}
		next.ServeHTTP(w, r)
	})
}

// WithLastClick replaces an existing cookie: the last promoter's link wins, and the 60 days begin again.
// Default: the first promoter's link wins.
func WithLastClick() CaptureOption { return func(c *capture) { c.overwrite = true } }

// WithCookieDomain sets the cookie for a domain and its subdomains: "example.com" if links lead to www.example.com and the
// checkout is at app.example.com. Default: the host of the request only.
func WithCookieDomain(domain string) CaptureOption { return func(c *capture) { c.domain = domain } }

// WithQueryParams is for sites that use "ref" or "via" for something else. CaptureReferral reads only these query parameters,
// in this order.
func WithQueryParams(names ...string) CaptureOption { return func(c *capture) { c.params = names } }

// referral returns the id for the cookie; "" if there is none or an existing cookie stays.
func (c *capture) referral(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !c.overwrite && cookie(r.Header["Cookie"], cookieRef) != "" {
		return ""
	}
	query := r.URL.Query()
	for _, name := range c.params {
		if id := query.Get(name); usableID(id) {
			return id
		}
	}
	return ""
}
