package fprom

import (
	"cmp"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// cookieRef is a cookie of FirstPromoter's script, which CaptureReferral sets too. The others are _fprom_tid and, for accounts
// made before April 2021, _fprom_track.
const cookieRef = "_fprom_ref"

// Attribution says which promoter brought a visitor. The zero value says nothing.
type Attribution struct {
	TID   string // visitor id, from the cookie _fprom_tid or _fprom_track
	RefID string // a promoter's referral id, from the cookie _fprom_ref; a visitor can forge it
}

// AttributionFrom reads the cookies that FirstPromoter's script set in the visitor's browser. A webhook that reports the sale
// later has no cookies: so call AttributionFrom at checkout, and send Metadata with the payment. A visitor can forge cookies,
// so a value that cannot be an id is left out (over 255 bytes, other characters than letters, digits and ._~=+/-, the word
// "null", …). If the request has several values of one cookie, the first usable one counts.
func AttributionFrom(r *http.Request) Attribution {
	lines := r.Header["Cookie"]
	return Attribution{TID: cmp.Or(cookie(lines, "_fprom_tid"), cookie(lines, "_fprom_track")), RefID: cookie(lines, cookieRef)}
}

// Metadata returns the attribution as metadata for the billing provider's checkout or payment, under the keys fp_tid and
// fp_ref. The provider hands it back in its webhooks. Empty parts are left out; the map is never nil. A visitor can set fp_ref
// to any promoter's id, since it comes from the cookie _fprom_ref: if you do not trust it, set a.RefID to "" first.
func (a Attribution) Metadata() map[string]string {
	m := map[string]string{"fp_tid": a.TID, "fp_ref": a.RefID}
	maps.DeleteFunc(m, func(_, id string) bool { return id == "" })
	return m
}

// Attributable is a *Sale or a *Signup.
type Attributable interface {
	referral() (tid, refID *string)
}

func (e *Sale) referral() (tid, refID *string)   { return &e.TID, &e.RefID }
func (e *Signup) referral() (tid, refID *string) { return &e.TID, &e.RefID }

// Apply fills in an empty TID and RefID, as in attribution.Apply(&sale). Record does it by itself; Apply is for events that
// you give to Enqueue, Track or a queue's own transaction. A visitor can forge the cookie _fprom_ref: if you do not
// trust it, set a.RefID to "" first.
func (a Attribution) Apply(to Attributable) {
	tid, refID := to.referral()
	*tid, *refID = cmp.Or(cleanID(*tid), a.TID), cmp.Or(cleanID(*refID), a.RefID)
}

// attribution returns what the visitor's cookies say, with the RefID only if WithRefIDCookie is set.
func (x *Exchange) attribution() Attribution {
	a := AttributionFrom(x.outer)
	if a.RefID == "" || x.hook.refID {
		return a
	}
	if a.TID == "" && !x.hook.warnedRefID.Swap(true) { // once, or the line would come for every visitor whom CaptureReferral has seen
		x.hook.tracker.say(x.inner.Context(), slog.LevelWarn, "the cookie "+cookieRef+" names a promoter, and is not used: give the middleware fprom.WithRefIDCookie(), as CaptureReferral needs, or ignore this")
	}
	a.RefID = ""
	return a
}

// cookie returns the first usable value of the cookie called name; "" if there is none. It allocates nothing, unlike
// http.Request.CookiesNamed.
func cookie(lines []string, name string) string {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			v, ok := strings.CutPrefix(strings.Trim(part, " \t"), name+"=")
			if inner, quoted := strings.CutPrefix(v, `"`); ok && quoted { // RFC 6265 allows it
				v, ok = strings.CutSuffix(inner, `"`)
			}
			if ok && usableID(v) {
				return v
			}
		}
	}
	return ""
}

// usableID reports whether a cookie's value can be an id: broken scripts and attackers write other values.
func usableID(s string) bool {
	foreign := func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._~=+/-", r)
	}
	return len(s) <= maxText && !strings.Contains(s, "..") && !strings.ContainsFunc(s, foreign) && cleanID(s) != ""
}

// cleanID trims s. It returns "" for a word that broken scripts write where there is no id.
func cleanID(s string) string {
	s = strings.TrimSpace(s)
	if slices.Contains([]string{"null", "undefined", "none", "nil"}, strings.ToLower(s)) {
		return ""
	}
	return s
}
