package fprom

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
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
	warnFirst   = "FirstPromoter knew this event id before its first attempt: if it is the id of an older payment, this one earns nothing; each payment needs an id of its own"
)

type answer struct {
	has           features
	id            int64
	commissions   []Commission
	code, message string
	wait          time.Duration // Retry-After
}

// read reads an answer to m. broken means that the body could not be read to the end.
func read(m Message, resp *http.Response, body []byte, broken bool) (a answer) {
	switch {
	case broken:
		a.has = hasBadBody
	case resp.StatusCode < 300:
		a.readSuccess(m, body)
	default:
		a.readError(m.Kind, body)
	}
	if a.wait = parseRetryAfter(resp.Header, time.Now()); a.wait > 0 {
		a.has |= hasRetryAfter
	}
	return a
}

// readSuccess reads FirstPromoter's object for this event. Every such object has an id. If it is missing, the event is sent
// again; if the event was registered after all, the next answer is a 409.
func (a *answer) readSuccess(m Message, body []byte) {
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
	err := json.Unmarshal(body, &o)
	_, odd := errors.AsType[*json.UnmarshalTypeError](err) // one field has another type; all others were read
	id := eventID(m)
	switch {
	case err != nil && !odd, !utf8.Valid(body), len(o.ID) == 0, string(o.ID) == "null":
		return
	case o.EventID != "" && id != "" && !sameText(o.EventID, id):
		return
	}
	a.has = fromFirstPromoter
	_ = json.Unmarshal(o.ID, &a.id) // 0 if it is no int64
	for _, c := range o.Commissions {
		c.PromoterID = c.Campaign.PromoterID
		a.commissions = append(a.commissions, c.Commission)
	}
}

// readError reads a JSON object. It decides whether a sale is given up, so names must match exactly. (In a struct
// encoding/json ignores their case.)
func (a *answer) readError(kind string, body []byte) {
	var o map[string]json.RawMessage
	if !utf8.Valid(body) || json.Unmarshal(body, &o) != nil || o == nil {
		return
	}
	text := func(name string) (s string) {
		_ = json.Unmarshal(o[name], &s) // empty if it is no string
		return s
	}
	a.has, a.code, a.message = fromFirstPromoter, text("code"), cmp.Or(text("message"), text("error"), text("transaction_id"))
	visitor := kind == KindSignup && strings.HasPrefix(a.message, "Visitor") // sign-ups have no code
	if a.code == "not_found" || a.code == "" && (visitor || strings.HasPrefix(a.message, "Referral")) {
		a.has |= saysNoReferral
	}
	if strings.Contains(a.message, "already") {
		a.has |= saysSignedUp
	}
}

// classify says what an answer means. broken is the error of reading its body, if any.
func (c *client) classify(m Message, resp *http.Response, body []byte, broken error) verdict {
	status := resp.StatusCode
	a := read(m, resp, body, broken != nil || len(body) > maxResponse)
	r := ruleOf(status, a.has, m.Kind)
	v := verdict{Result: Result{Outcome: r.outcome, StatusCode: status}, class: r.class}
	if r.outcome == Tracked {
		v.ID, v.Commissions = a.id, a.commissions
	}
	if r.outcome == Duplicate && !a.sameID(m) {
		v.warn = warnOtherID
	}
	if r.class <= classAskAgain {
		return v
	}
	e := &APIError{StatusCode: status, Code: safelog.Foreign(a.code, c.cfg.APIKey), Message: safelog.Foreign(a.message, c.cfg.APIKey)}
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	if a.has&fromFirstPromoter == 0 && (!refused || len(body) > 0) { // FirstPromoter's own 401 has no body
		e.foreignURL = c.cfg.BaseURL + "/" + m.Kind
	}
	v.err = e
	switch {
	case r.class == classBusy, r.class == classThrottled:
		v.wait = cmp.Or(a.wait, defaultRetryAfter)
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

// sameID reports whether a 409 names m, or no event. Sign-ups and cancellations have no id.
func (a *answer) sameID(m Message) bool {
	_, rest, ok := strings.Cut(a.message, "with the id '")
	if !ok || eventID(m) == "" {
		return true
	}
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

// parseRetryAfter returns the wait that the header asks for, in seconds or as a date, within the bounds. 0: none that can be
// read, or centuries.
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
