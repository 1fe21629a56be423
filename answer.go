package fprom

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fprom-go/fprom/internal/safelog"
)

// Bounds of the wait that Retry-After asks for, and the wait without it.
const (
	minRetryAfter     = time.Second
	maxRetryAfter     = 15 * time.Minute
	defaultRetryAfter = time.Minute
)

const (
	warnOtherID = "FirstPromoter names another event id; this event may not be registered"
	warnFirst   = "FirstPromoter knew this event id before its first attempt. That is normal if a webhook came again after this process had forgotten the id (DedupeConfig). But if the id is that of an older payment, this payment earns nothing: each payment needs an id of its own"
)

// features of an answer, as a bit set.
type features uint8

const (
	hasBadBody        features = 1 << iota // the body broke off
	fromFirstPromoter                      // after a success: the object of this event; otherwise any JSON object
	saysNoReferral                         // in FirstPromoter's words
	saysSignedUp                           // in FirstPromoter's words: this lead has signed up before
	hasRetryAfter                          // with a usable value
)

type rule struct {
	status  []int    // 3 is 300 to 399; none: any
	has     features // all of these
	kind    string   // of the event; empty: any
	class   class
	outcome Outcome
}

// answers is the table of the package documentation. The first row that fits an answer applies.
var answers = []rule{
	{[]int{401}, 0, "", classUnauthorized, Undelivered},
	{[]int{429}, 0, "", classThrottled, Undelivered},
	{[]int{503}, hasRetryAfter, "", classBusy, Undelivered},
	{[]int{3, 403}, 0, "", classSuspected, Undelivered},
	{nil, hasBadBody, "", classTransient, Undelivered}, // the rows above need no body
	{[]int{200, 201}, fromFirstPromoter, "", classDone, Tracked},
	{[]int{204}, 0, KindSale, classAskAgain, NotReferral},
	{[]int{204}, 0, "", classDone, NotReferral},
	{[]int{404}, saysNoReferral, "", classDone, NotReferral},
	{[]int{409}, fromFirstPromoter, "", classDone, Duplicate},
	{[]int{422}, saysSignedUp, KindSignup, classDone, Duplicate},
	{[]int{400, 413, 415, 422}, fromFirstPromoter, "", classRejected, Rejected},
	{[]int{408, 421, 425}, 0, "", classTransient, Undelivered},
	{[]int{404}, 0, "", classSuspected, Undelivered},
	{[]int{4}, fromFirstPromoter, "", classSuspected, Undelivered},
	{nil, 0, "", classTransient, Undelivered},
}

func ruleOf(status int, has features, kind string) rule {
	return answers[slices.IndexFunc(answers, func(r rule) bool {
		fits := r.status == nil || slices.Contains(r.status, status) || slices.Contains(r.status, status/100)
		return fits && has&r.has == r.has && (r.kind == "" || r.kind == kind)
	})]
}

// classify says what an answer means. broken is the error of reading its body, if any.
func (c *client) classify(m Message, resp *http.Response, body []byte, broken error) verdict {
	status, wait := resp.StatusCode, parseRetryAfter(resp.Header, time.Now())
	v, e := verdict{Result: Result{StatusCode: status}}, &APIError{StatusCode: status}
	var has features
	switch {
	case broken != nil:
		has = hasBadBody
	case status == http.StatusOK, status == http.StatusCreated:
		has = readSuccess(m, body, &v.Result)
	case status >= http.StatusMultipleChoices:
		has = readError(body, e)
	}
	if wait > 0 {
		has |= hasRetryAfter
	}
	r := ruleOf(status, has, m.Kind)
	v.Outcome, v.class = r.outcome, r.class
	if !sameID(e.Message, m) {
		v.warn = warnOtherID
	}
	if r.class <= classAskAgain {
		return v
	}
	e.Code, e.Message = safelog.Foreign(e.Code, c.cfg.APIKey), safelog.Foreign(e.Message, c.cfg.APIKey)
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	if has&fromFirstPromoter == 0 && (!refused || len(body) > 0) { // FirstPromoter's own 401 has no body
		e.foreignURL = c.cfg.BaseURL + "/" + m.Kind
	}
	v.err = e
	switch {
	case r.class == classBusy, r.class == classThrottled:
		v.wait = cmp.Or(wait, defaultRetryAfter)
		e.RetryAfter = v.wait
	case r.class == classUnauthorized:
		v.err = fmt.Errorf("%w: %w", ErrUnauthorized, e)
	case refused:
		v.err = fmt.Errorf("%w; the key may also lack the permission for this: %w", ErrUnauthorized, e)
	case r.class == classTransient && broken != nil:
		v.err = fmt.Errorf("read the answer: %w", c.scrub(broken))
	}
	return v
}

// readSuccess reads FirstPromoter's object for this event. Every such object has an id. If it is missing, the event is sent
// again; if the event was registered after all, the next answer is a 409.
func readSuccess(m Message, body []byte, r *Result) features {
	var o struct {
		ID          json.RawMessage `json:"id"`
		EventID     string          `json:"event_id"`
		Commissions []struct {
			Commission
			Campaign struct {
				PromoterID int64 `json:"promoter_id"`
			} `json:"promoter_campaign"`
		} `json:"commissions"`
	}
	_ = json.Unmarshal(body, &o) // reads nothing if the body is no JSON, and leaves out only the fields of another type
	id := eventID(m)
	switch {
	case len(o.ID) == 0, string(o.ID) == "null":
		return 0
	case o.EventID != "" && id != "" && !sameText(o.EventID, id):
		return 0
	}
	_ = json.Unmarshal(o.ID, &r.ID) // 0 if it is no int64
	for _, c := range o.Commissions {
		c.PromoterID = c.Campaign.PromoterID
		r.Commissions = append(r.Commissions, c.Commission)
	}
	return fromFirstPromoter
}

// readError reads a JSON object. The result decides whether a sale is given up, so the names of members must match exactly.
// (With a struct, encoding/json would ignore their case.)
func readError(body []byte, e *APIError) features {
	var o map[string]json.RawMessage
	if _ = json.Unmarshal(body, &o); o == nil || !utf8.Valid(body) { // o is nil if the body is no JSON object
		return 0
	}
	text := func(name string) (s string) {
		_ = json.Unmarshal(o[name], &s) // empty if it is no string
		return s
	}
	has := fromFirstPromoter
	e.Code, e.Message = text("code"), cmp.Or(text("message"), text("error"), text("transaction_id"))
	if e.Code == "not_found" || e.Code == "" && (strings.HasPrefix(e.Message, "Visitor") || strings.HasPrefix(e.Message, "Referral")) {
		has |= saysNoReferral
	}
	if strings.Contains(e.Message, "already") {
		has |= saysSignedUp
	}
	return has
}

// sameID reports whether the message of a 409 names m, or no event.
func sameID(message string, m Message) bool {
	_, rest, _ := strings.Cut(message, "with the id '")
	i := strings.LastIndex(rest, "' already")
	return i < 0 || sameText(html.UnescapeString(rest[:i]), eventID(m))
}

// eventID returns the event id of a sale or a refund; empty for the other kinds.
func eventID(m Message) string {
	if m.Kind != KindSale && m.Kind != KindRefund {
		return ""
	}
	return strings.TrimPrefix(m.Key, m.Kind+":")
}

func sameText(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

// parseRetryAfter returns the wait that the header asks for, in seconds or as a date, within the bounds. 0: there is none.
func parseRetryAfter(h http.Header, now time.Time) time.Duration {
	s := strings.TrimSpace(h.Get("Retry-After"))
	at, err := http.ParseTime(s)
	if n, notANumber := strconv.ParseUint(s, 10, 32); notANumber == nil {
		at, err = now.Add(time.Duration(n)*time.Second), nil
	}
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), minRetryAfter), maxRetryAfter)
}
