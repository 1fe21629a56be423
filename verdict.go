package fprom

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Outcome is what became of an event.
type Outcome string

// The outcomes.
const (
	Tracked     Outcome = "tracked"      // FirstPromoter registered it
	NotReferral Outcome = "not-referral" // normal: no promoter brought this customer, or the promoter is banned
	Duplicate   Outcome = "duplicate"    // its event id was registered before: a success
	Rejected    Outcome = "rejected"     // FirstPromoter says that the event is wrong; sending it again cannot help
	Undelivered Outcome = "undelivered"  // no verdict yet
)

// Result is the verdict on one event.
type Result struct {
	Outcome     Outcome
	StatusCode  int          // 0 if no answer was read
	ID          int64        // FirstPromoter's id of the event; 0 if it gave none
	Commissions []Commission // only for Tracked; may be empty
}

// Commission is one commission that FirstPromoter created for a tracked event. Fields it left out are zero.
type Commission struct {
	ID         int64  `json:"id"`
	Status     string `json:"status"`
	Amount     int64  `json:"amount"` // in Unit; negative for a refund
	Unit       string `json:"unit"`
	Tier       int    `json:"tier"`
	PromoterID int64  `json:"-"`
}

// class is what an answer means for the breaker, the pause and the queue.
type class int

const (
	classDone         class = iota // an outcome: Tracked, NotReferral, Duplicate
	classAskAgain                  // NotReferral, but perhaps too early
	classRejected                  // the event is wrong
	classTransient                 // failed; again later
	classSuspected                 // refused: the account's fault, or this event's alone
	classThrottled                 // the account is over its limit
	classUnauthorized              // the key or the account id is wrong
	classUnknown                   // nothing was sent, or the caller's ctx ended before an answer
)

// rule says what the answers with one of these statuses mean.
type rule struct {
	first, last int
	json        bool // only with a JSON object as FirstPromoter sends it
	class       class
}

// rules is the table of the package documentation, for all answers that are no outcome. The first rule that fits holds.
var rules = []rule{
	{300, 399, false, classSuspected},
	{400, 400, true, classRejected},
	{401, 401, false, classUnauthorized},
	{403, 403, false, classSuspected},
	{404, 404, false, classSuspected},
	{408, 409, false, classTransient}, // a 409 with JSON is an outcome
	{413, 413, true, classRejected},
	{415, 415, true, classRejected},
	{421, 421, false, classTransient},
	{422, 422, true, classRejected},
	{425, 425, false, classTransient},
	{429, 429, false, classThrottled},
	{400, 499, true, classSuspected},
}

// ruleOf is the class of an answer that is no outcome.
func ruleOf(status int, ours bool) class {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.first <= status && status <= r.last && (ours || !r.json) })
	if i < 0 {
		return classTransient
	}
	return rules[i].class
}

// verdict is what one attempt came to. err is nil exactly for classDone.
type verdict struct {
	Result
	class   class
	err     error
	wait    time.Duration // what the event must wait; 0: by backoff
	aside   bool          // the later events of the customer may pass
	held    bool          // no attempt is spent
	alone   bool          // the event fails while others succeed
	news    bool          // its first failure, or the first one alone
	warn    string        // what an operator should look at, although it is an outcome
	sent    bool
	elapsed time.Duration
	waited  time.Duration // for the rate limit
}

func transient(status int, err error) verdict {
	return verdict{Result: Result{Outcome: Undelivered, StatusCode: status}, class: classTransient, err: err}
}

// good reports whether FirstPromoter judged the event, which proves that the account works.
func (v verdict) good() bool { return v.sent && v.class <= classRejected }

const (
	warnOtherID = "FirstPromoter names another event id; this event may not be registered"
	warnFirst   = "FirstPromoter knew this event id before its first attempt: if it is the id of an older payment, this one earns nothing; each payment needs an id of its own"
)

// classify is the table in the package documentation.
func (c *client) classify(m Message, resp *http.Response, body []byte) verdict {
	status := resp.StatusCode
	switch status {
	case http.StatusOK, http.StatusCreated:
		return tracked(m, status, body)
	case http.StatusNoContent:
		return verdict{Result: Result{Outcome: NotReferral, StatusCode: status}}
	}
	answer, ours := parseAnswer(body)
	if v, ok := answer.outcome(m, status, ours); ok {
		return v
	}
	e := &APIError{StatusCode: status, Code: c.clean(answer.code), Message: c.clean(answer.text()), foreign: !ours}
	v := verdict{Result: Result{Outcome: Undelivered, StatusCode: status}, class: ruleOf(status, ours), err: e}
	wait, asked := retryAfter(resp.Header, time.Now())
	if status == http.StatusServiceUnavailable && asked {
		v.class = classThrottled
	}
	switch v.class {
	case classRejected:
		v.Outcome = Rejected
	case classThrottled:
		if !asked {
			wait = defaultRetryAfter
		}
		e.RetryAfter, e.foreign = wait, false
		v.wait = wait
	case classUnauthorized, classSuspected:
		e.url = c.base + "/" + m.Kind
		if status == http.StatusUnauthorized || status == http.StatusForbidden {
			e.foreign = e.foreign && len(body) > 0 // FirstPromoter's own 401 has none
			v.err = fmt.Errorf("%w: %w", ErrUnauthorized, e)
		}
	default:
		e.foreign = e.foreign && status < 500
	}
	return v
}

// outcome is the verdict on an answer that has an error status but is a success.
func (a answer) outcome(m Message, status int, ours bool) (verdict, bool) {
	v := verdict{Result: Result{Outcome: Duplicate, StatusCode: status}}
	switch {
	case status == http.StatusNotFound && a.notFound(m.Kind):
		v.Outcome = NotReferral
		return v, true
	case status == http.StatusConflict && ours:
		if m.Attempt <= 1 {
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
func tracked(m Message, status int, body []byte) verdict {
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
	foreign := transient(status, &APIError{StatusCode: status, foreign: true})
	if !utf8.Valid(body) {
		return foreign
	}
	if err := json.Unmarshal(body, &a); err != nil {
		if _, odd := errors.AsType[*json.UnmarshalTypeError](err); !odd { // a field of another type: the rest was read
			return foreign
		}
	}
	if len(a.ID) == 0 || string(a.ID) == "null" {
		return foreign
	}
	if id := eventID(m); a.EventID != "" && id != "" && !sameText(a.EventID, id) {
		return foreign
	}
	r := Result{Outcome: Tracked, StatusCode: status}
	_ = json.Unmarshal(a.ID, &r.ID) // one that is no int64 stays 0
	for _, c := range a.Commissions {
		c.PromoterID = c.Campaign.PromoterID
		r.Commissions = append(r.Commissions, c.Commission)
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
	a = answer{code: str("code"), message: str("message"), transaction: str("transaction_id")}
	if a.message == "" {
		a.message = str("error")
	}
	return a, true
}

func (a answer) text() string {
	if a.message != "" {
		return a.message
	}
	return a.transaction
}

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
	case err == nil && n > int64(1<<63-1)/int64(time.Second):
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
