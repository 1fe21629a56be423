package fprom

import "time"

// Outcome says what became of an event.
type Outcome string

// The outcomes.
const (
	Tracked     Outcome = "tracked"      // FirstPromoter registered it
	NotReferral Outcome = "not-referral" // normal: no promoter brought this customer, or the promoter is banned
	Duplicate   Outcome = "duplicate"    // its event id was registered before: a success
	Rejected    Outcome = "rejected"     // FirstPromoter says that the event is wrong; sending it again cannot help
	Undelivered Outcome = "undelivered"  // no outcome yet
)

// Result is what FirstPromoter answered about one event.
type Result struct {
	Outcome     Outcome
	StatusCode  int          // 0 if no answer was read
	ID          int64        // FirstPromoter's id of the event; 0 if it gave none
	Commissions []Commission // only for Tracked; may be empty
}

// Commission is one commission that FirstPromoter created for a tracked event. Fields it left out are zero.
type Commission struct {
	ID         int64  `json:"id"`     // FirstPromoter's
	Status     string `json:"status"` // such as "approved"
	Amount     int64  `json:"amount"` // what the promoter earns, in Unit; negative for a refund
	Unit       string `json:"unit"`   // such as "cash"
	Tier       int    `json:"tier"`   // as FirstPromoter sends it, such as 1
	PromoterID int64  `json:"-"`      // FirstPromoter's
}

// class is what an answer means for the breaker, the pause and the queue. The order matters: see held and gate.answered.
type class int

const (
	classDone         class = iota // an outcome: Tracked, NotReferral, Duplicate
	classAskAgain                  // NotReferral, but perhaps too early
	classRejected                  // the event is wrong
	classTransient                 // failed; again later
	classSuspected                 // refused: the account's fault, or this event's alone
	classUnauthorized              // the key or the account id is wrong
	classBusy                      // FirstPromoter cannot serve now, and says how long
	classThrottled                 // the account is told to wait
	classUnknown                   // nothing was sent, or the caller's ctx ended before an answer
)

// verdict is what came of one attempt.
type verdict struct {
	Result
	class   class
	err     error         // nil exactly for classDone
	wait    time.Duration // before the next attempt; 0: by backoff
	aside   bool          // the later events of the customer may pass
	paused  bool          // the account is paused, by this answer or an earlier one
	news    bool          // the event failed for the first time, or was found to fail alone
	warn    string        // a warning about an event that is done
	sent    bool          // the call was made
	elapsed time.Duration
}

func transient(err error) verdict {
	return verdict{Result: Result{Outcome: Undelivered}, class: classTransient, err: err}
}

// good reports whether FirstPromoter judged the event, which proves that the account works.
func (v verdict) good() bool { return v.sent && v.Outcome != Undelivered }

// held reports whether the attempt does not count, since the event is not at fault.
func (v verdict) held() bool { return v.paused || v.class == classAskAgain || v.class > classSuspected }
