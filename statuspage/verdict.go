package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/internal/safelog"
)

// The levels of a problem, and so of the page.
const (
	levelOK   = "ok"   // nothing to do
	levelWarn = "warn" // nothing is lost; somebody should look
	levelFail = "fail" // commissions are lost, or will not arrive unless somebody acts
)

// problem is one thing that is wrong.
type problem struct {
	Level string `json:"level"`
	What  string `json:"what"`
	Do    string `json:"do"` // what to do; code is between backticks
}

// piece is a part of a sentence: text or code.
type piece struct {
	Text string
	Code bool
}

// Parts splits Do into text and code.
func (p problem) Parts() (parts []piece) {
	for i, s := range strings.Split(p.Do, "`") {
		parts = append(parts, piece{s, i%2 == 1})
	}
	return parts
}

// refused reports whether the credentials are refused.
func (s snapshot) refused() bool {
	return !s.queue.PausedUntil.IsZero() && strings.Contains(s.queue.PauseReason, fprom.ErrUnauthorized.Error())
}

// late reports whether the oldest event has waited for too long. During a bulk load its events wait for hours: then it reports
// whether no event was done within the limit.
func (s snapshot) late(limit time.Duration) bool {
	q := s.queue
	return !q.Oldest.IsZero() && !s.redrive && s.at.Sub(q.Oldest) > limit && (q.Bulk == 0 || s.at.Sub(q.LastSuccess) > limit)
}

// problems returns what is wrong, the worst first.
func (p *page) problems(s snapshot) []problem {
	var all []problem
	add := func(level, do, what string, args ...any) {
		all = append(all, problem{level, fmt.Sprintf(what, args...), do})
	}
	if s.nothing {
		add(levelFail, "In development that is right. Elsewhere make a Tracker: see the log of the service's start.", "There is no tracker: nothing is reported to FirstPromoter.")
	}
	if s.broken != nil {
		add(levelFail, "Look at its disk or its database, and at the service's log. The figures below may be missing or wrong.", "The outbox cannot be read: %s.", safelog.Text(s.broken))
	}
	conflicts := s.queue.Conflicts
	if t := s.service; t != nil {
		if t.PutError != "" {
			add(levelFail, "Make room on the disk or mend the database now: sales that are made meanwhile are lost, or refused with `WithFailClosed`. This goes away with the next event that is stored.",
				"The last event was not stored: %s.", strings.TrimRight(t.PutError, ". "))
		}
		if t.Lost > 0 {
			add(levelFail, "Search the log for `LOST`: it names each one. Send them again with `fprom backfill`, then restart the service to clear this.", "%s lost.", plural(int(t.Lost), "event could not be stored and was", "events could not be stored and were"))
		}
		if n := int(t.Panics); n > 0 {
			add(levelWarn, "Search the log for `panicked`, and mend what it names. Nothing is lost by it.", "%s of the service's own code that fprom calls: its transport, Observer, Logger or queue.", count(n, "panic"))
		}
		conflicts = max(conflicts, int(t.Conflicts))
	}
	if conflicts > 0 {
		add(levelWarn, "Search the log for `NOT TRACKED`: probably a subscription's id is used where each payment needs its own.", "%s not tracked: the event id was already used with another amount.", plural(conflicts, "event was", "events were"))
	}
	if c, is := s.compare.problem(s.at); is {
		all = append(all, c)
	}
	p.delivery(s, add)
	if n := s.queue.Dead; n > 0 {
		do := "Read the reason and mend the cause. Then redrive, or drop what is no sale: below, or with `fprom dead`."
		if !s.durable {
			do = "Search the log for `dead letter`: the queue in memory does not keep them."
		}
		add(levelWarn, do, "%s.", plural(n, "event was given up: FirstPromoter refused it", "events were given up: FirstPromoter refused them"))
	}
	slices.SortStableFunc(all, func(a, b problem) int { return strings.Compare(a.Level, b.Level) }) // "fail" before "warn"
	return all
}

// delivery adds the reason why events are not delivered. If there are several, it adds the first: it explains the others.
func (p *page) delivery(s snapshot, add func(level, do, what string, args ...any)) {
	q := s.queue
	waiting := q.Pending + q.Bulk
	paused := !q.PausedUntil.IsZero()
	late := s.late(p.OldestAge)
	level := levelWarn
	if late {
		level = levelFail
	}
	switch {
	case s.nothing || s.broken != nil:
	case s.refused():
		add(levelFail, "Set `FIRSTPROMOTER_API_KEY` and `FIRSTPROMOTER_ACCOUNT_ID` to what FirstPromoter shows under Settings → Integrations, and restart. Nothing is lost meanwhile.",
			"FirstPromoter refuses the API key or the account id. %s.", waits(waiting))
	case paused:
		add(level, "Nothing, unless it stays: everything is kept, and delivery goes on by itself.",
			"Delivery is paused, %s: %s. %s.", untilWhen(q.PausedUntil, s.at), strings.TrimRight(safelog.WithoutName(q.PauseReason), ". "), waits(waiting))
	case q.Breaker == "open" || q.Breaker == "half-open":
		add(level, "Nothing, unless it stays: everything is kept, and sent when FirstPromoter works again.",
			"FirstPromoter does not answer as it should. %s.", waits(waiting))
	case !q.Delivering && q.PauseReason != "":
		add(levelFail, "Mend what the reason names. Nothing is lost meanwhile.", "Nothing is delivered: %s. %s.", strings.TrimRight(safelog.WithoutName(q.PauseReason), ". "), waits(waiting))
	case !q.Delivering && waiting > 0:
		add(levelFail, "Start the service that owns this outbox. Nothing is lost meanwhile.", "No process delivers. %s.", waits(waiting))
	case !q.Delivering && s.service == nil:
		add(levelWarn, "Start the service that owns this outbox.", "No process delivers.")
	case late:
		add(levelFail, "Look for the oldest event in the service's log, or with `fprom events --state waiting`: its last error is there.",
			"The oldest event has waited for %s.", age(s.at.Sub(q.Oldest)))
	}
}

// headline says the state in a few words.
func headline(s snapshot, level string) string {
	switch level {
	case levelFail:
		return "Commissions need you now."
	case levelWarn:
		return "Something needs a look."
	}
	switch n := s.queue.Pending + s.queue.Bulk; {
	case n == 0 && s.queue.LastSuccess.IsZero():
		return "All is well. Nothing was reported yet."
	case n == 0:
		return "All is well. Every event has arrived."
	default:
		return "All is well. " + waits(n) + " to be sent."
	}
}

// worst is the level of the page.
func worst(problems []problem) string {
	if len(problems) == 0 {
		return levelOK
	}
	return problems[0].Level
}

func waits(n int) string {
	if n == 0 {
		return "Nothing waits"
	}
	return plural(n, "event waits", "events wait")
}

func untilWhen(t, now time.Time) string {
	if d := t.Sub(now); d > 0 {
		return "for another " + age(d)
	}
	return "until a probe succeeds"
}

func count(n int, noun string) string { return plural(n, noun, noun+"s") }

// plural is the number and one of both texts.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
