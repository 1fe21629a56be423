package queuetest_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// bugs are rules that the model breaks, the case that must find it, and a part of what the case must say.
var bugs = []bug{
	{"stores twice", "any/stores_a_key_once", "delivered 2 times"},
	{"never done", "any/delivers_what_was_put", "times, want 1"},
	{"loses the customer", "any/delivers_what_was_put", "want {Key:"},
	{"counts from 0", "any/delivers_what_was_put", "has Attempt 0"},
	{"blind to conflicts", "any/reports_a_conflict_each", "want a *ConflictError"},
	{"nameless conflicts", "any/reports_a_conflict_each", "want a *ConflictError"},
	{"conflict once", "any/reports_a_conflict_each", "Put of the same pair again: <nil>"},
	{"conflict replaces", "any/reports_a_conflict_each", "delivered body"},
	{"stores some", "any/stores_all", "want only sale:marker"},
	{"keeps dead keys", "any/frees_the_key", "Put: "},
	{"newest first", "any/delivers_oldest_first", "one worker delivered"},
	{"no order", "any/keeps_a_customer's_order_over_retries", "deliveries of one customer"},
	{"no order", "any/lets_others_overtake", " while "},
	{"one worker more", "any/uses_all_workers", "at once, want 3"},
	{"all live", "any/delivers_live_events_before", "one worker delivered"},
	{"all live", "any/delivers_a_live_event", "one worker delivered"},
	{"bulk is passed", "any/keeps_a_customer's_order_over_bulk", "before sale:ann-live"},
	{"tried first", "any/delivers_others_beside_a_few", "have all the turns"},
	{"no turns", "any/delivers_others_beside_many", "have all the turns"},
	{"tried first", "any/delivers_others_beside_some", "have all the turns"},
	{"counts from 0", "any/tries_again_and", "[0 0 1 2]"},
	{"counts from Put's", "any/tries_again_and", "[8 8 9 10]"},
	{"no delay", "any/waits_as_long", "tried again after"},
	{"counts held", "any/tries_again_and", "[1 2 3 4]"},
	{"panics", "any/survives_deliveries", "panic: queuetest: this delivery panics"},
	{"does not wait", "any/ends_after", "Run returned while a delivery was under way"},
	{"goes on", "any/ends_after", "a delivery began after the end"},
	{"run error", "any/ends_after", "want nil"},
	{"counts interrupted", "any/does_not_count_an_interrupted", "has Attempt 2, want 1"},
	{"drops late outcomes", "any/keeps_an_outcome", "want Pending 1 and Dead 1"},
	{"flush waits for none", "any/flushes_what", "want the context's error"},
	{"flush never waits", "any/flushes_no_longer", "Flush without a deadline"},
	{"stats of nothing", "any/tells_its_state", "want 2 pending"},
	{"stats without those under way", "any/tells_its_state", "those under way are included"},
	{"lists newest first", "any/lists_what_is_left", "Undelivered: "},
	{"close twice", "any/tells_its_state", "Close, call 2"},

	{"loses order", "durable/keeps_what_is_pending", "one worker delivered"},
	{"loses attempts", "durable/keeps_the_number", "has Attempt 1, want 2"},
	{"loses due", "durable/keeps_the_number", "tried again after"},
	{"loses bulk", "durable/keeps_bulk", "want Pending 5 and Bulk 5"},
	{"counts interrupted", "durable/does_not_count", "has Attempt 2, want 1"},
	{"drops late outcomes", "durable/keeps_an_outcome", "want Pending 1 and Dead 1"},
	{"forgets done", "durable/remembers_ids", "want Pending 1, Ledger 1"},
	{"loses all", "durable/remembers_ids", "want a *ConflictError"},
	{"no limit", "durable/shares_the_limit", "at most 4: the account's limit"},
	{"no pause", "durable/shares_the_limit", "in the pause that another process has told"},

	{"entries newest first", "outbox/shows_events", "entries ["},
	{"loses commissions", "outbox/shows_events", "after reopening: entry"},
	{"keeps customers", "outbox/shows_events", "Customer:ann@example.com"},
	{"loses all", "outbox/shows_events", "after reopening: entries []"},
	{"whole keys only", "outbox/selects", "by Entry.Key"},
	{"case matters", "outbox/selects", "by customer"},
	{"blind to times", "outbox/selects", "by since and until"},
	{"blind to reasons", "outbox/selects", "by status of the waiting"},
	{"no limit of entries", "outbox/selects", "by limit among the selected"},
	{"shows customers", "outbox/masks", "shows an address"},
	{"shows keys", "outbox/masks", "shows an address"},
	{"conflict once", "outbox/counts_pairs", "want a *ConflictError"},
	{"always the first page", "outbox/goes_on_after_a_cursor", "pages of"},
	{"ranges once", "outbox/goes_on_after_a_cursor", "two ranges over one result of Entries"},
	{"always the first page", "outbox/goes_on_after_a_cursor_that_is_gone", "after the same cursor"},
	{"deaf to ctx", "outbox/stops_reading", "want the context's"},
	{"redrives first", "outbox/redrives_after", "one worker delivered"},
	{"any state", "outbox/redrives_what", "Redrive of what waits: 2"},
	{"any state", "outbox/drops_dead", "Drop of all"},
	{"any state", "outbox/drops_what", "Drop of what waits"},
	{"whole keys only", "outbox/drops_what", "Drop by keys however they are written: 1"},
	{"keeps dead letters", "outbox/replaces", "2 entries, want 1"},
	{"no empty buckets", "outbox/counts_outcomes", "buckets of a second"},
	{"from as it is", "outbox/counts_outcomes", "bucket 0 is"},
	{"loses all", "outbox/counts_outcomes", "want {Start:"},
	{"part of the history", "outbox/bounds", "History of 20,000"},
	{"redrives nothing", "outbox/forgets_the", "Redrive where one of three"},
	{"forgets everybody", "outbox/forgets_the", "Forget of no customer"},
	{"forgets sums", "outbox/forgets_the", "want no customer, and all else"},
	{"forgets what waits", "outbox/forgets_a_customer", "delivered body"},
	{"forgets too early", "outbox/forgets_a_customer", "after its outcome"},
	{"forgets done", "outbox/remembers_ids", "want a *ConflictError"},
}

// slowBugs are found only when a case has waited in vain, for about five seconds or more. The quick tests leave them out.
var slowBugs = []bug{
	{"conflict stops the rest", "any/reports_a_conflict_each", "the conflict names"},
	{"one cancellation", "any/takes_a_cancellation", "in vain: the second cancellation"},
	{"one for all", "any/lets_others_overtake", "in vain: every message delivered"},
	{"never aside", "any/lets_a_customer", "in vain: every message delivered"},
	{"fresh first", "any/tries_again_beside", "in vain: the event that was tried"},
	{"retries permanent", "any/does_not_offer_a_permanent", "a permanent failure was delivered"},
	{"two runs", "any/refuses_a_second_Run", "want ErrQueueInUse"},
	{"one run", "any/refuses_a_second_Run", "in vain: every message delivered"},
	{"answers after close", "any/answers_ErrQueueClosed", "want ErrQueueClosed"},
	{"flush waits for all", "any/flushes_what", "it must not wait for what was put after it"},
	{"flush waits in vain", "any/flushes_no_longer", "want ErrNotDue at once"},
	{"flush waits for those behind", "any/flushes_no_longer", "want ErrNotDue at once"},
	{"never delivers", "any/tells_its_state", "in vain: Stats that say so"},
	{"watch deadlock", "any/may_be_watched", "does not return"},
	{"leaks", "any/tells_its_state", "goroutines are left"},
	{"loses all", "durable/keeps_what_is_pending", "in vain: every message delivered"},
	{"loses aside", "durable/keeps_what_was_set_aside", "in vain: every message delivered"},
	{"no reason", "durable/shares_the_limit", "in vain: the other process to know of the pause and its reason"},
	{"entries hold the lock", "outbox/holds_up", "panic: test timed out"},
	{"redrive is a promise", "outbox/can_be_used", "in vain: every event done"},
	{"redrive is a promise", "outbox/redrives_dead", "waiting after Redrive"},
	{"whole keys only", "outbox/redrives_what", "Redrive by keys however they are written: 0"},
}

type bug struct{ bug, test, want string }

// TestSuitesFindBugs runs one case of a suite at a time in a process of its own, with a queue that breaks the rule.
func TestSuitesFindBugs(t *testing.T) {
	t.Parallel()
	bugs := bugs
	if !testing.Short() {
		bugs = slices.Concat(slowBugs, bugs)
	}
	atOnce := make(chan struct{}, 8) // they sleep more than they work
	results := make([]chan error, len(bugs))
	outputs := make([][]byte, len(bugs))
	for i, tt := range bugs {
		results[i] = make(chan error, 1)
		go func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			var err error
			for range 3 { // on a machine that stands still for a moment, something else may be in vain first
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout=2m", "-test.run=^TestModel$/"+strings.ReplaceAll(tt.test, "/", "/^"))
				cmd.Env = append(os.Environ(), "QUEUETEST_BUG="+tt.bug)
				outputs[i], err = cmd.CombinedOutput()
				if err == nil || strings.Contains(string(outputs[i]), tt.want) {
					break
				}
			}
			results[i] <- err
		}()
	}
	for i, tt := range bugs {
		t.Run(tt.bug+"/"+tt.test, func(t *testing.T) {
			if err := <-results[i]; err == nil || !strings.Contains(string(outputs[i]), tt.want) {
				out := outputs[i]
				t.Errorf("a queue with the bug %q: %v, want a failure that says %q:\n%s", tt.bug, err, tt.want, out[:min(len(out), 4000)])
			}
		})
	}
}
