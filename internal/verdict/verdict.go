// Package verdict says whether the events of an outbox are on their way, and if not, why: for the status page and for doctor.
package verdict

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

// The levels of a verdict.
const (
	OK   = "ok"   // nothing to do
	Warn = "warn" // nothing is lost; somebody should look
	Fail = "fail" // commissions are lost, or will not arrive unless somebody acts
)

// OldestAge is how long an event may wait: a sale of a customer whom FirstPromoter does not know yet is asked about for an hour.
const OldestAge = 2 * time.Hour

// Late reports whether the oldest event has waited for more than limit. During a bulk load its events wait for hours: then it reports
// whether no event was done within limit. A last success that lies ahead, since a clock was ahead, is none.
func Late(q fprom.QueueStats, now time.Time, limit time.Duration) bool {
	return !q.Oldest.IsZero() && now.Sub(q.Oldest) > limit && (q.Bulk == 0 || now.Sub(q.LastSuccess).Abs() > limit)
}

// failing is how often an event must have failed, and how long it must have waited, before that is said. Two attempts are a minute
// apart at most (RetryConfig.Max): so the fault lasts longer than that.
const (
	failingTimes = 3
	failingAge   = 2 * time.Minute
)

// Failing returns why an event of o keeps failing although none was done since it was recorded: the last error of the first such event;
// "" if there is none. q are the Stats of o. A sale that is asked about again, and what waits in a pause, has not failed. But a refusal
// counts at once, since in a pause that follows it no attempt counts, and only the process that pauses knows of it.
func Failing(ctx context.Context, o fprom.Outbox, q fprom.QueueStats, now time.Time) (why string, err error) {
	since := q.LastSuccess
	if since.Sub(now) > failingAge { // a clock was ahead
		since = time.Time{}
	}
	if q.Oldest.IsZero() || now.Sub(since) < failingAge {
		return "", nil
	}
	for e, err := range o.Entries(ctx, fprom.Filter{State: fprom.StateWaiting, Since: since, Until: now.Add(-failingAge), Limit: 1000}) {
		if err != nil {
			return "", err
		}
		if e.Attempts >= failingTimes || e.StatusCode >= http.StatusUnauthorized && e.StatusCode <= http.StatusForbidden {
			return strings.TrimRight(safelog.Reason(e.Reason, e.Key), ". "), nil
		}
	}
	return "", nil
}

// Refused reports whether a pause is one for refused credentials.
func Refused(until time.Time, reason string) bool {
	return !until.IsZero() && strings.Contains(reason, fprom.ErrUnauthorized.Error())
}

// Stopped reports whether the queue stands still for a reason of its own, such as a pause in River, until somebody ends it.
func Stopped(q fprom.QueueStats) bool {
	return !q.Delivering && q.PauseReason != "" && q.PausedUntil.IsZero()
}

// Delivery returns the level, the reason why events are not delivered, and what to do; code in it is between backticks. If there are
// several reasons, it returns the first: it explains the others. late is what Late has said, failing what Failing has, service whether
// this process has the Tracker.
func Delivery(q fprom.QueueStats, now time.Time, late bool, failing string, service bool) (level, what, do string) {
	waiting := Waits(q.Pending+q.Bulk) + "."
	because := strings.TrimRight(safelog.WithoutName(q.PauseReason), ". ")
	paused, broken := !q.PausedUntil.IsZero(), q.Breaker == "open" || q.Breaker == "half-open"
	const mend = "Nothing, unless it stays: then mend what the reason names. Everything is kept, and delivery goes on by itself."
	level = Warn
	if late {
		level = Fail
	}
	switch {
	case Refused(q.PausedUntil, q.PauseReason):
		return Fail, "FirstPromoter refuses the API key or the account id. " + waiting,
			"Set the service's `FIRSTPROMOTER_API_KEY` and `FIRSTPROMOTER_ACCOUNT_ID` to what FirstPromoter shows under Settings → Integrations → Manage API keys, and restart it. Nothing is lost meanwhile."
	case paused && (q.Delivering || service): // else all replicas ended in the pause, which their database keeps
		return level, fmt.Sprintf("Delivery is paused, %s: %s. %s", UntilWhen(q.PausedUntil, now), because, waiting),
			mend
	case Stopped(q):
		return Fail, fmt.Sprintf("Nothing is delivered: %s. %s", because, waiting), "Mend what the reason names. Nothing is lost meanwhile."
	case broken && failing == "":
		return level, "FirstPromoter does not answer as it should. " + waiting,
			"Nothing, unless it stays: everything is kept, and sent when FirstPromoter works again."
	case broken:
		return level, fmt.Sprintf("FirstPromoter does not answer as it should: %s. %s", failing, waiting), mend
	case q.Delivering && failing != "":
		return level, fmt.Sprintf("An event fails again and again, and no other has arrived meanwhile: %s. %s", failing, waiting), mend
	case q.Delivering && because != "" && !paused:
		return level, fmt.Sprintf("Some events are not delivered: %s. %s", because, waiting), "Mend what the reason names, unless it is meant. Nothing is lost meanwhile."
	case !q.Delivering && q.Pending+q.Bulk > 0:
		return Fail, "No process delivers. " + waiting, "Start the service that owns this outbox. Nothing is lost meanwhile."
	case !q.Delivering && !service:
		return Warn, "No process delivers.", "Start the service that owns this outbox."
	case late:
		return Fail, fmt.Sprintf("The oldest event has waited for %s.", Age(now.Sub(q.Oldest))),
			"Look for the oldest event in the service's log, or with `fprom events --state waiting`: its last error is there."
	}
	return OK, "A process delivers. " + waiting, ""
}

// Waits says how many events wait.
func Waits(n int) string {
	if n == 0 {
		return "Nothing waits"
	}
	return Plural(n, "event waits", "events wait")
}

// UntilWhen says how long a pause lasts.
func UntilWhen(t, now time.Time) string {
	if d := t.Sub(now); d > 0 {
		return "for another " + Age(max(d, time.Second))
	}
	return "until a probe succeeds"
}

// Plural is the number and one of both texts.
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Grouped(n) + " " + many
}

// Grouped is n with a comma between thousands.
func Grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Age is d in at most two units: "45 s", "12 min", "3 h 5 min", "2 d 4 h".
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	part := func(n time.Duration, unit string) string {
		if n == 0 {
			return ""
		}
		return " " + strconv.Itoa(int(n)) + " " + unit
	}
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < day:
		return strconv.Itoa(int(d/time.Hour)) + " h" + part(d%time.Hour/time.Minute, "min")
	default:
		return strconv.Itoa(int(d/day)) + " d" + part(d%day/time.Hour, "h")
	}
}
