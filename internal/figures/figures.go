// Package figures says under which name a step is counted, for otelfprom and promfprom: both export the same figures.
// Every set of names is closed, so that the number of time series does not depend on what happens.
package figures

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/billing"
)

// Other is the kind of a stored message that this version does not know.
const Other = "other"

// Kinds are all values of the attribute kind.
var Kinds = []string{fprom.KindSale, fprom.KindRefund, fprom.KindSignup, fprom.KindCancellation, Other}

// Outcomes are all values of the attribute outcome.
var Outcomes = []string{string(fprom.Tracked), string(fprom.NotReferral), string(fprom.Duplicate), "dead", "discarded", "lost", "conflict"}

// Results are all values of the attribute result.
var Results = []string{string(fprom.Tracked), string(fprom.NotReferral), string(fprom.Duplicate), string(fprom.Rejected), "throttled", "refused", "failed"}

// WebhookResults are all values of the attribute result of a webhook.
var WebhookResults = []string{string(fprom.Tracked), "skipped", "may-lose", "conflict", "failed", "refused", "stray"}

// BreakerStates are all values of the attribute state of the breaker.
var BreakerStates = []string{"closed", "half-open", "open"}

// Verdicts are all values of the attribute verdict: what a comparison with FirstPromoter calls a difference.
var Verdicts = []string{"missing", "foreign", "amount_differs", "doubled"}

// AttemptBuckets are for one call, in seconds.
var AttemptBuckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// WaitBuckets are for the wait before a call, in seconds.
var WaitBuckets = []float64{.01, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

// DeliveryBuckets are for the time from accepted to outcome, in seconds: from a tenth of one to a week.
var DeliveryBuckets = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600, 168 * 3600}

// Kind is the kind of s.
func Kind(s fprom.Step) string {
	switch s.Message.Kind {
	case fprom.KindSale, fprom.KindRefund, fprom.KindSignup, fprom.KindCancellation:
		return s.Message.Kind
	default:
		return Other
	}
}

// Outcome is what became of the event of s; false if it is still on its way.
func Outcome(s fprom.Step) (string, bool) {
	switch s.Stage {
	case fprom.StageDelivered:
		if r := string(s.Result.Outcome); r == string(fprom.Tracked) || r == string(fprom.NotReferral) {
			return r, true
		}
		return string(fprom.Duplicate), true
	case fprom.StageDead, fprom.StageDiscarded, fprom.StageLost, fprom.StageConflict:
		return string(s.Stage), true
	default:
		return "", false
	}
}

// Attempt is how the call that s ends went; false if none was made.
func Attempt(s fprom.Step) (string, bool) {
	status := s.Result.StatusCode
	switch {
	case s.Elapsed == 0:
		return "", false
	case slices.Contains(Results[:4], string(s.Result.Outcome)):
		return string(s.Result.Outcome), true
	case status == http.StatusTooManyRequests, s.Stage == fprom.StagePaused && status == http.StatusServiceUnavailable:
		return "throttled", true
	case status == http.StatusUnauthorized, status == http.StatusForbidden, s.Stage == fprom.StagePaused:
		return "refused", true
	default:
		return "failed", true
	}
}

// Webhook is what became of an event of a webhook. A stray request is not the provider's, and needs nobody.
func Webhook(x billing.Explanation) string {
	switch {
	case errors.Is(x.Err, billing.ErrStray):
		return "stray"
	case errors.Is(x.Err, billing.ErrSignature):
		return "refused"
	case errors.Is(x.Err, fprom.ErrConflict):
		return "conflict"
	case x.Err != nil:
		return "failed"
	case x.Skipped.MayLose():
		return "may-lose"
	case x.Skipped != "":
		return "skipped"
	default:
		return string(fprom.Tracked)
	}
}

// Delivery is how long the event of s was on its way; false if it has no outcome at FirstPromoter, or waited behind all others (Bulk).
func Delivery(s fprom.Step) (time.Duration, bool) {
	if s.Stage != fprom.StageDelivered || s.Message.Bulk || s.Message.RecordedAt.IsZero() {
		return 0, false
	}
	return max(time.Since(s.Message.RecordedAt), 0), true
}

// LastSuccess is when the last event was done, in seconds since 1970; false if unknown.
func LastSuccess(s fprom.Stats) (float64, bool) {
	at := s.Queue.LastSuccess
	if s.LastSuccess.After(at) {
		at = s.LastSuccess
	}
	return float64(at.UnixMilli()) / 1000, !at.IsZero()
}

// Paused reports whether all delivery is paused: by an answer to this process, or to another one that shares the queue.
func Paused(s fprom.Stats) bool { return !s.PausedUntil.IsZero() || !s.Queue.PausedUntil.IsZero() }

// Sizes are the events of the outbox by state. Those in conflict are not in it: they were refused.
func Sizes(q fprom.QueueStats) map[string]int {
	return map[string]int{"waiting": q.Pending, "bulk": q.Bulk, "dead": q.Dead, "done": q.Ledger, "conflict": q.Conflicts}
}

// Bit is 1 for true.
func Bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
