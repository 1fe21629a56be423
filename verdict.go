package fprom

import (
	"fmt"
	"net/http"
	"time"
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
	classThrottled                 // the account is told to wait
	classUnauthorized              // the key or the account id is wrong
	classUnknown                   // nothing was sent, or the caller's ctx ended before an answer
)

// ruleOf is the table of the package documentation, for all answers that are no outcome. ours: with a JSON object, as
// FirstPromoter sends it.
func ruleOf(status int, ours bool) class {
	switch {
	case status == http.StatusTooManyRequests:
		return classThrottled
	case status == http.StatusUnauthorized:
		return classUnauthorized
	case status >= 300 && status < 400, status == http.StatusForbidden, status == http.StatusNotFound:
		return classSuspected
	case status < 400 || status >= 500 || !ours:
		return classTransient
	}
	switch status {
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly:
		return classTransient
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return classRejected
	default:
		return classSuspected
	}
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

// classify is the table in the package documentation.
func (c *client) classify(m Message, resp *http.Response, body []byte) verdict {
	status := resp.StatusCode
	switch status {
	case http.StatusOK, http.StatusCreated:
		return c.tracked(m, status, body)
	case http.StatusNoContent:
		return verdict{Result: Result{Outcome: NotReferral, StatusCode: status}}
	}
	answer, ours := parseAnswer(body)
	if v, ok := answer.outcome(m, status, ours, c.began); ok {
		return v
	}
	refused := status == http.StatusUnauthorized || status == http.StatusForbidden
	e := &APIError{StatusCode: status, Code: c.clean(answer.code), Message: c.clean(answer.text())}
	if !ours && (!refused || len(body) > 0) { // FirstPromoter's own 401 has no body
		e.foreign = c.base + "/" + m.Kind
	}
	v := verdict{Result: Result{Outcome: Undelivered, StatusCode: status}, class: ruleOf(status, ours), err: e}
	wait, asked := retryAfter(resp.Header, time.Now())
	if status == http.StatusServiceUnavailable && asked {
		v.class = classThrottled
	}
	switch {
	case v.class == classRejected:
		v.Outcome = Rejected
	case v.class == classThrottled:
		if !asked {
			wait = defaultRetryAfter
		}
		v.wait, e.RetryAfter = wait, wait
	case status == http.StatusForbidden:
		v.err = fmt.Errorf("the API key may lack the permission for this, or the account id is wrong: %w: %w", e, ErrUnauthorized)
	case refused:
		v.err = fmt.Errorf("%w: %w", ErrUnauthorized, e)
	}
	return v
}
