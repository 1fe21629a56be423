package fprom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// class is what an answer means for the breaker, the pause and the queue.
type class int

const (
	classDone        class = iota // an outcome: Tracked, NotReferral, Duplicate
	classRejected                 // the event is wrong
	classTransient                // failed; again later
	classThrottled                // the account is over its limit
	classRefused                  // the key or the account id is wrong
	classEndpoint                 // what answers is not FirstPromoter's API
	classInterrupted              // the caller's ctx ended: nothing is known
	classUnsent                   // nothing was sent
	classAskAgain                 // NotReferral, but perhaps too early
)

// verdict is what one attempt came to. err is nil exactly for classDone.
type verdict struct {
	Result
	class   class
	err     error
	pause   time.Duration // for classThrottled and classAskAgain
	sent    bool
	elapsed time.Duration
}

func transient(status int, err error) verdict {
	return verdict{Result: Result{Outcome: Undelivered, StatusCode: status}, class: classTransient, err: err}
}

// classify is the table in the package documentation.
func (c *client) classify(m Message, resp *http.Response, body []byte, brief bool) verdict {
	status := resp.StatusCode
	if status == http.StatusOK || status == http.StatusCreated {
		return tracked(m, status, body, brief)
	}
	if status == http.StatusNoContent {
		return verdict{Result: Result{Outcome: NotReferral, StatusCode: status}}
	}
	answer, ours := parseAnswer(body)
	e := &APIError{StatusCode: status, Code: c.clean(answer.code), Message: c.clean(answer.text()), foreign: !ours}
	v := verdict{Result: Result{Outcome: Undelivered, StatusCode: status}, class: classTransient, err: e}
	wait, asked := retryAfter(resp.Header, time.Now())
	switch {
	case status == http.StatusNotFound && answer.notFound(m.Kind):
		v.Outcome, v.class, v.err = NotReferral, classDone, nil
	case status == http.StatusConflict && (ours && answer.sameID(m) || len(body) == 0),
		status == http.StatusUnprocessableEntity && ours && m.Kind == KindSignup && answer.signedUp():
		v.Outcome, v.class, v.err = Duplicate, classDone, nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.foreign = e.foreign && len(body) > 0 // FirstPromoter's own has none
		v.class, v.err = classRefused, fmt.Errorf("%w: %w", ErrUnauthorized, e)
	case status == http.StatusNotFound, status >= 300 && status < 400:
		e.foreign = true
		v.class, v.err = classEndpoint, fmt.Errorf("%s: %w", c.base, e)
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && asked:
		if !asked {
			wait = defaultRetryAfter
		}
		e.RetryAfter, e.foreign = wait, false
		v.class, v.pause = classThrottled, wait
	case status >= 500:
		e.foreign = false
	case e.rejected():
		v.Outcome, v.class = Rejected, classRejected
	}
	return v
}

// tracked reads a 200: anything but FirstPromoter's object for this event is no success. Every such object has an id, and
// where one is missing the event is asked about again: if it was registered after all, the answer is a 409. brief leaves
// the commissions out where that saves work.
func tracked(m Message, status int, body []byte, brief bool) verdict {
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
	if body = bytes.TrimSpace(body); len(body) == 0 || body[0] != '{' || !utf8.Valid(body) {
		return foreign
	}
	if brief {
		if id, ok := plainlyTracked(m, body); ok {
			return verdict{Result: Result{Outcome: Tracked, StatusCode: status, ID: id}}
		}
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

// plainlyTracked knows the usual answer without decoding it: valid JSON that begins with an id, and names no other event
// anywhere. ok is false where that does not settle it.
func plainlyTracked(m Message, body []byte) (id int64, ok bool) {
	rest, ok := bytes.CutPrefix(body, []byte(`{"id":`))
	n := bytes.IndexByte(rest, ',')
	if !ok || n < 1 || n > 18 || !allDigits(string(rest[:n])) || !json.Valid(body) {
		return 0, false
	}
	id, _ = parseInt(string(rest[:n]))
	own := []byte(`:"` + eventID(m) + `"`)
	for {
		var found bool
		if _, rest, found = bytes.Cut(rest, []byte(`"event_id"`)); !found {
			return id, true
		}
		if !bytes.HasPrefix(rest, own) && !bytes.HasPrefix(rest, []byte(":null")) {
			return 0, false
		}
	}
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
	return i < 0 || eventID(m) == "" || sameText(rest[:i], eventID(m))
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
