package fprom

import (
	"cmp"
	"log/slog"
	"net/http"
	"strings"
)

// The cookies of FirstPromoter's site script. cookieTrack is what accounts made before April 2021 have.
const (
	cookieTID   = "_fprom_tid"
	cookieTrack = "_fprom_track"
	cookieRef   = "_fprom_ref"
)

// Attribution says which promoter brought a visitor. The zero value says nothing.
type Attribution struct {
	TID   string // visitor id, from the cookie _fprom_tid or _fprom_track
	RefID string // a promoter's referral id, from the cookie _fprom_ref; a visitor can forge it
}

// AttributionFrom reads the cookies that FirstPromoter's script set in the visitor's browser. Where the sale is reported
// later, by a webhook that has no cookies, call it at checkout and send Metadata with the payment. Cookies are foreign
// data: a value that cannot be an id (over 255 bytes, other characters than letters, digits and ._~=+/-, the word
// "null", …) is left out, and so is an id of which the request has two different ones.
func AttributionFrom(r *http.Request) Attribution { return attributionOf(r.Header) }

func attributionOf(h http.Header) Attribution {
	lines := h["Cookie"]
	if len(lines) == 0 {
		return Attribution{}
	}
	a := Attribution{TID: cookie(lines, cookieTID), RefID: cookie(lines, cookieRef)}
	if a.TID == "" {
		a.TID = cookie(lines, cookieTrack)
	}
	return a
}

// Metadata is the attribution as metadata for the billing provider's checkout or payment, under the keys fp_tid and
// fp_ref; the provider hands it back in its webhooks. Empty parts are left out; the map is never nil.
func (a Attribution) Metadata() map[string]string {
	m := make(map[string]string, 2)
	if a.TID != "" {
		m["fp_tid"] = a.TID
	}
	if a.RefID != "" {
		m["fp_ref"] = a.RefID
	}
	return m
}

// Attributable is a *Sale or a *Signup.
type Attributable interface {
	referral() (tid, refID *string)
}

func (e *Sale) referral() (tid, refID *string)   { return &e.TID, &e.RefID }
func (e *Signup) referral() (tid, refID *string) { return &e.TID, &e.RefID }

// Apply fills in TID and RefID where they are empty: attribution.Apply(&sale). Record does it on its own; this is for
// events that go to Enqueue, Track or a queue's own transaction. Set RefID to "" before, if the cookie _fprom_ref is not to
// be trusted.
func (a Attribution) Apply(to Attributable) {
	tid, refID := to.referral()
	*tid, *refID = a.fill(*tid, *refID)
}

func (a Attribution) fill(tid, refID string) (string, string) {
	return cmp.Or(cleanID(tid), a.TID), cmp.Or(cleanID(refID), a.RefID)
}

// attribute fills in what the caller left empty.
func (r *Recording) attribute(tid, refID string) (string, string) {
	a := attributionOf(r.cookies)
	unused := a.RefID != "" && !r.hook.refID
	if unused {
		a.RefID = ""
	}
	tid, refID = a.fill(tid, refID)
	if unused && tid == "" && refID == "" {
		r.hook.unused.Do(r.warnUnused)
	}
	return tid, refID
}

// warnUnused is said once: it is so for every visitor whom CaptureReferral has seen.
func (r *Recording) warnUnused() {
	log := slog.Default()
	if t, ok := r.hook.enqueuer.(interface{ logger() *slog.Logger }); ok {
		log = t.logger()
	}
	log.WarnContext(r.ctx, "fprom: the cookie "+cookieRef+" names a promoter, and is not used: give the middleware fprom.WithRefIDCookie(), as CaptureReferral needs, or ignore this")
}

func (t *Tracker) logger() *slog.Logger { return t.log }

// cookie is the usable value of the cookie called name, "" if there is none or if two differ. It reads what
// http.Request.CookiesNamed reads, without its allocations.
func cookie(lines []string, name string) string {
	found := ""
	for _, line := range lines {
		for len(line) > 0 {
			var part string
			part, line, _ = strings.Cut(line, ";")
			key, v, _ := strings.Cut(strings.Trim(part, " \t"), "=")
			if strings.Trim(key, " \t") != name {
				continue
			}
			if n := len(v); n > 1 && v[0] == '"' && v[n-1] == '"' {
				v = v[1 : n-1]
			}
			if !usableID(v) {
				continue
			}
			if found != "" && found != v {
				return ""
			}
			found = v
		}
	}
	return found
}

// usableID reports whether a cookie's value can be an id and not what a broken script or an attacker put there.
func usableID(s string) bool {
	if s == "" || len(s) > maxText || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("._~=+/-", c) >= 0:
		default:
			return false
		}
	}
	return !noID(s)
}

// noID reports whether s is a word that broken scripts write where there is no id.
func noID(s string) bool {
	switch strings.ToLower(s) {
	case "null", "undefined", "none", "nil", "nan":
		return true
	}
	return false
}
