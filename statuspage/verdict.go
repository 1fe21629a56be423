package statuspage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom/internal/safelog"
	"github.com/fprom-go/fprom/internal/verdict"
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
	return verdict.Refused(s.queue.PausedUntil, s.queue.PauseReason)
}

// late reports whether the oldest event has waited for too long.
func (s snapshot) late(limit time.Duration) bool {
	return !s.redrive && verdict.Late(s.queue, s.at, limit)
}

// problems returns what is wrong, the worst first.
func (p *page) problems(s snapshot) []problem {
	var all []problem
	add := func(level, do, what string, args ...any) {
		all = append(all, problem{level, fmt.Sprintf(what, args...), do})
	}
	if s.nothing {
		add(verdict.Fail, "In development that is right. Elsewhere make a Tracker: see the log of the service's start.", "There is no tracker: nothing is reported to FirstPromoter.")
	}
	if s.broken != nil {
		add(verdict.Fail, "Look at its disk or its database, and at the service's log. The figures below may be missing or wrong.", "The outbox cannot be read: %s.", safelog.Text(s.broken))
	}
	if t := s.service; t != nil {
		if t.PutError != "" {
			add(verdict.Fail, "Mend the disk, the file or the database that the reason names now: sales that are made meanwhile are lost, or refused with `WithFailClosed`. This goes away with the next event that is stored.",
				"The last event was not stored: %s.", strings.TrimRight(t.PutError, ". "))
		}
		if t.Lost > 0 {
			add(verdict.Fail, "Search the log for `LOST`: it names each one. Send them again with `fprom backfill`, then restart the service to clear this.", "%s lost.", verdict.Plural(int(t.Lost), "event could not be stored and was", "events could not be stored and were"))
		}
		if n := int(t.Panics); n > 0 {
			add(verdict.Warn, "Search the log for `panicked`, and mend what it names.", "%s of the service's own code that fprom calls: its transport, Observer, Logger or queue.", count(n, "panic"))
		}
	}
	if n := s.queue.Conflicts; n > 0 {
		add(verdict.Warn, "Search the log for `NOT TRACKED`, or for the error that `EnqueueTx` returned: probably a subscription's id is used where each payment needs its own. The count stays after you have mended it: docs/operations.md says until when (FpromConflict).", "%s not tracked: the event id was already used with another amount.", verdict.Plural(n, "event was", "events were"))
	}
	if c, is := s.compare.problem(s.at); is {
		all = append(all, c)
	}
	if level, what, do := verdict.Delivery(s.queue, s.at, s.late(p.OldestAge), s.failing, s.service != nil); level != verdict.OK && !s.nothing && s.broken == nil {
		add(level, do, "%s", what)
	}
	if n := s.queue.Dead; n > 0 {
		do := "Read the reason below and mend the cause. Then redrive, or drop what is no sale, with `fprom dead`."
		switch {
		case p.Writable && s.durable:
			do = "Read the reason and mend the cause. Then redrive, or drop what is no sale: below, or with `fprom dead`."
		case !s.durable:
			do = "Search the log for `given up`: the queue in memory does not keep them."
		}
		add(verdict.Warn, do, "%s.", verdict.Plural(n, "event was given up", "events were given up"))
	}
	slices.SortStableFunc(all, func(a, b problem) int { return strings.Compare(a.Level, b.Level) }) // "fail" before "warn"
	return all
}

// headline says the state in a few words.
func headline(s snapshot, level string) string {
	switch level {
	case verdict.Fail:
		return "Commissions need you now."
	case verdict.Warn:
		return "Something needs a look."
	}
	switch n := s.queue.Pending + s.queue.Bulk; {
	case n == 0 && s.queue.LastSuccess.IsZero():
		return "All is well. Nothing was reported yet."
	case n == 0:
		return "All is well. Every event has arrived."
	default:
		return "All is well. " + verdict.Waits(n) + " to be sent."
	}
}

// worst is the level of the page.
func worst(problems []problem) string {
	if len(problems) == 0 {
		return verdict.OK
	}
	return problems[0].Level
}

func count(n int, noun string) string { return verdict.Plural(n, noun, noun+"s") }
