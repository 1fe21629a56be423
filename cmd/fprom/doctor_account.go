package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

// callFirstPromoter reads the account's campaigns: this checks the credentials and creates nothing. It reports whether
// FirstPromoter accepted the credentials.
func (d *doctor) callFirstPromoter(ctx context.Context) bool {
	if d.company == "" {
		return false
	}
	a := d.get(ctx, "/campaigns?per_page=100")
	if ctx.Err() != nil || !d.network(ctx, a) {
		return false
	}
	d.clock(a)
	if !d.credentials(a) {
		return false
	}
	d.campaigns(ctx, a.body)
	return true
}

const (
	clockWarn = 30 * time.Second
	clockFail = 2 * time.Minute
)

// clock compares this machine's clock with the answer's Date header, which has whole seconds.
func (d *doctor) clock(a *answer) {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil || a.header.Get("Age") != "" {
		return
	}
	off := time.Duration(0)
	if early := a.start.Sub(date.Add(time.Second)); early > 0 {
		off = early
	} else if late := a.done.Sub(date); late < 0 {
		off = late
	}
	const fix = "set the clock by NTP (timedatectl set-ntp true): signatures of webhooks and dates of sales depend on it"
	way := "ahead"
	if off < 0 {
		way, off = "behind", -off
	}
	switch {
	case off >= clockFail:
		d.fail("clock", exitAttention, fix, "the clock of this machine is %s (%d s) %s", span(off), int(off.Seconds()), way)
	case off >= clockWarn:
		d.warn("clock", fix, "the clock of this machine is %s %s", span(off), way)
	default:
		d.ok("clock", "within %d s of theirs", int(clockWarn.Seconds()))
	}
}

var v1Key = regexp.MustCompile(`^[0-9a-f]{32}$`)

// credentials judges the answer. Its body is never shown.
func (d *doctor) credentials(a *answer) bool {
	const name = "credentials"
	wrongHost := "check $" + envURL + "; FirstPromoter's is " + fprom.DefaultBaseURL
	host := hostOf(d.company) // the path of a proxy may have a key
	kind := "no JSON"
	isJSON := jsonBody(a.body, '{')
	switch {
	case strings.Contains(a.header.Get("Content-Type"), "html"):
		kind = "HTML"
	case isJSON:
		kind = "JSON"
	}
	switch s := a.status; {
	case s == http.StatusOK && jsonBody(a.body, '[') && d.key != "" && d.account != "":
		d.ok(name, "FirstPromoter takes the key and the account id")
		return true
	case s == http.StatusOK:
		d.fail(name, exitUnreachable, "a captive portal, a proxy or another site answers at "+host+": open the network, or "+wrongHost, "200 with %s: that is not FirstPromoter's API", kind)
	case s >= 300 && s < 400:
		d.fail(name, exitUnreachable, wrongHost+"; a proxy's sign-on page may stand between", "the answer is a redirect (%d) to %s", s, cmp.Or(hostOf(a.header.Get("Location")), "the same site"))
	case d.key == "" || d.account == "":
		d.warn(name, "mend the settings above, then run fprom doctor again", "not checked: the key or the account id is not fit to be sent")
	case s == http.StatusUnauthorized:
		d.fail(name, exitRefused, d.keyFix(), "FirstPromoter does not know the API key (401)")
	case s == http.StatusForbidden:
		d.fail(name, exitRefused, "check $"+envAccount+": it must be the account of the key; check the key's rights on "+keysPage, "FirstPromoter refuses the account id, or the key lacks the right (403)")
	case s == http.StatusNotFound && !isJSON:
		d.fail(name, exitUnreachable, wrongHost, "404 with %s from %s: another site, or a wrong path in the address", kind, host)
	case s == http.StatusProxyAuthRequired:
		d.fail(name, exitUnreachable, "put user and password into $HTTPS_PROXY", "the proxy wants a password (407)")
	case s == http.StatusTooManyRequests:
		d.warn(name, "run fprom doctor again in a minute; if it stays, give each service its part of the 400 calls a minute (Config.RequestsPerMinute)", "not checked: the account's limit is used up (429)")
	case s >= 500:
		d.fail(name, exitUnreachable, "nothing to mend here: events are kept and sent later; try again in a minute", "FirstPromoter, or a proxy before it, fails (%d)", s)
	default:
		d.fail(name, exitUnreachable, wrongHost, "an answer that FirstPromoter does not give (%d with %s)", s, kind)
	}
	return false
}

func (d *doctor) keyFix() string {
	if v1Key.MatchString(d.key) {
		return "it looks like a key of API v1, which v2 does not take: make one on " + keysPage
	}
	return "it is mistyped, revoked or expired, or one of API v1: make a new one on " + keysPage + " and set $" + envKey
}

// hostOf is the host of an address; empty: it has none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// campaigns compares the campaigns' links and cookies with those of fprom.CaptureReferral.
func (d *doctor) campaigns(ctx context.Context, body []byte) {
	var all []struct {
		Name  string `json:"name"`
		Param string `json:"ref_token_param"`
		Days  int    `json:"visitor_cookie_life"`
	}
	if err := json.Unmarshal(body, &all); err != nil {
		d.warn("campaigns", "compare the campaign's settings with the site by hand", "the list of campaigns cannot be read")
		return
	}
	var params []string
	odd := false
	for _, c := range all {
		param := strings.Trim(c.Param, "?= ")
		if param == "" {
			continue
		}
		read, days := captured(ctx, param)
		if !read {
			odd = true
			d.warn("campaigns", fmt.Sprintf("if the site uses fprom.CaptureReferral, add fprom.WithQueryParams(%q)", param), "campaign %q: links carry ?%s=, which CaptureReferral does not read by itself", c.Name, param)
		} else if c.Days > 0 && c.Days != days {
			odd = true
			d.warn("campaigns", "nothing to do where FirstPromoter's own script sets the cookies; else set the campaign to "+strconv.Itoa(days)+" days, or accept the difference",
				"campaign %q remembers a visitor for %d days, fprom.CaptureReferral for %d", c.Name, c.Days, days)
		}
		if !slices.Contains(params, "?"+param+"=") {
			params = append(params, "?"+param+"=")
		}
	}
	switch {
	case len(all) == 0:
		d.warn("campaigns", "make a campaign: without one no sale can earn a commission", "the account has no campaign")
	case !odd:
		d.ok("campaigns", "%s; links carry %s, as fprom.CaptureReferral reads", count(len(all), "campaign"), strings.Join(params, ", "))
	}
}

// captured reports whether fprom.CaptureReferral reads this query parameter, and how many days its cookie lives.
func captured(ctx context.Context, param string) (read bool, days int) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/?"+url.Values{param: {"joe"}}.Encode(), http.NoBody)
	fprom.CaptureReferral(http.NotFoundHandler()).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		return true, c.MaxAge / (24 * 60 * 60)
	}
	return false, 0
}
