package fprom

import (
	"cmp"
	"encoding/json"
	"errors"
	"html"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what Retry-After may ask for, and what is waited without it.
const (
	minRetryAfter     = time.Second
	maxRetryAfter     = 15 * time.Minute
	defaultRetryAfter = time.Minute
)

const (
	warnOtherID = "FirstPromoter names another event id; this event may not be registered"
	warnFirst   = "FirstPromoter knew this event id before its first attempt: if it is the id of an older payment, this one earns nothing; each payment needs an id of its own"
)

// outcome is the verdict on an answer that has an error status but is a success. began: of this process.
func (a answer) outcome(m Message, status int, ours bool, began time.Time) (verdict, bool) {
	v := verdict{Result: Result{Outcome: Duplicate, StatusCode: status}}
	switch {
	case status == http.StatusNotFound && a.notFound(m.Kind):
		v.Outcome = NotReferral
		return v, true
	case status == http.StatusConflict && ours:
		if m.Attempt <= 1 && !m.RecordedAt.Before(began) {
			v.warn = warnFirst
		}
		if !a.sameID(m) {
			v.warn = warnOtherID
		}
		return v, true
	default:
		return v, status == http.StatusUnprocessableEntity && ours && m.Kind == KindSignup && a.signedUp()
	}
}

// tracked reads a 200: anything but FirstPromoter's object for this event is no success. Every such object has an id, and
// where one is missing the event is asked about again: if it was registered after all, the answer is a 409.
func (c *client) tracked(m Message, status int, body []byte) verdict {
	var a struct {
		ID          json.RawMessage `json:"id"`
		EventID     string          `json:"event_id"`
		Commissions []struct {
			Commission
			Campaign struct {
				PromoterID int64 `json:"promoter_id"`
			} `json:"promoter_campaign"`
		} `json:"commissions"`
	}
	if !utf8.Valid(body) {
		return c.foreign(m, status)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		if _, odd := errors.AsType[*json.UnmarshalTypeError](err); !odd { // a field of another type: the rest was read
			return c.foreign(m, status)
		}
	}
	if len(a.ID) == 0 || string(a.ID) == "null" {
		return c.foreign(m, status)
	}
	if id := eventID(m); a.EventID != "" && id != "" && !sameText(a.EventID, id) {
		return c.foreign(m, status)
	}
	r := Result{Outcome: Tracked, StatusCode: status}
	_ = json.Unmarshal(a.ID, &r.ID) // one that is no int64 stays 0
	for _, commission := range a.Commissions {
		commission.PromoterID = commission.Campaign.PromoterID
		r.Commissions = append(r.Commissions, commission.Commission)
	}
	return verdict{Result: r}
}

// eventID is the event id in the key of a sale or a refund; empty for the other kinds.
func eventID(m Message) string {
	if m.Kind != KindSale && m.Kind != KindRefund {
		return ""
	}
	return strings.TrimPrefix(m.Key, m.Kind+":")
}

func sameText(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

// answer is what FirstPromoter says with an error status.
type answer struct{ code, message, transaction string }

// parseAnswer reads a JSON object. Names are matched exactly, unlike encoding/json does for structs: they decide
// whether a sale is given up.
func parseAnswer(body []byte) (a answer, ok bool) {
	var o map[string]json.RawMessage
	if !utf8.Valid(body) || json.Unmarshal(body, &o) != nil || o == nil {
		return answer{}, false
	}
	str := func(name string) (s string) {
		_ = json.Unmarshal(o[name], &s) // not a string: as if it were absent
		return s
	}
	return answer{code: str("code"), message: cmp.Or(str("message"), str("error")), transaction: str("transaction_id")}, true
}

func (a answer) text() string { return cmp.Or(a.message, a.transaction) }

// notFound reports whether the answer is FirstPromoter's "not a referral". Sign-ups have no code.
func (a answer) notFound(kind string) bool {
	if a.code != "" {
		return a.code == "not_found"
	}
	return kind == KindSignup && strings.HasPrefix(a.message, "Visitor") || strings.HasPrefix(a.message, "Referral")
}

// sameID reports whether a 409 does not name another event than m.
func (a answer) sameID(m Message) bool {
	_, rest, ok := strings.Cut(a.message, "with the id '")
	if !ok {
		return true
	}
	i := strings.LastIndex(rest, "' already")
	return i < 0 || eventID(m) == "" || sameText(html.UnescapeString(rest[:i]), eventID(m))
}

// signedUp reports whether a 422 says that the lead has signed up before.
func (a answer) signedUp() bool { return strings.Contains(a.text(), "already") }

// retryAfter reads the header: seconds or a date, clamped. ok is false where it says nothing usable.
func retryAfter(h http.Header, now time.Time) (d time.Duration, ok bool) {
	s := strings.TrimSpace(h.Get("Retry-After"))
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err == nil && n > math.MaxInt64/int64(time.Second):
		return 0, false // 292 years and more are no time but a fault
	case err == nil:
		d = time.Duration(max(n, 0)) * time.Second
	default:
		t, err := http.ParseTime(s)
		if err != nil {
			return 0, false
		}
		d = t.Sub(now)
	}
	return min(max(d, minRetryAfter), maxRetryAfter), true
}
