package fprom

import "time"

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

// Stage is a point on the way of an event.
type Stage string

// The stages.
const (
	StageEnqueued  Stage = "enqueued"  // accepted: stored in the queue
	StageDelivered Stage = "delivered" // has its outcome: Tracked, NotReferral or Duplicate
	StageRetry     Stage = "retry"     // the attempt failed, or was answered too early (RetryConfig.NotFound); it is made again later
	StagePaused    Stage = "paused"    // the answer pauses all delivery; the event is kept, no attempt is spent
	StageDead      Stage = "dead"      // rejected, or out of attempts: a dead letter
	StageDiscarded Stage = "discarded" // recorded in a handler that failed: not a sale
	StageLost      Stage = "lost"      // could not be stored; the request succeeded all the same (see WithFailClosed)
	StageConflict  Stage = "conflict"  // not stored: its event id is already used with another amount or currency
)

// Step tells an Observer what happened to an event.
type Step struct {
	Stage   Stage
	Message Message
	Result  Result
	Err     error         // why: for retry, paused, dead, lost and conflict; for discarded if the client may see a success
	Elapsed time.Duration // the attempt's duration; 0 where none was made
}
