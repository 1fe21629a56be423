package queuetest

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

var entryCases = []testCase{
	{"shows events of every state", (*rig).testEntries},
	{"selects by each field of a filter", (*rig).testFilter},
	{"selects by time under a clock that was a day ahead", (*rig).testClock},
	{"masks customers", (*rig).testMask},
	{"counts pairs in conflict", (*rig).testConflicts},
}

func (r *rig) testEntries() {
	s := newScene(r)
	s.checkEntries("in the process that delivered")
	s.restart()
	s.checkEntries("after reopening")
}

func (s *scene) checkEntries(when string) {
	s.t.Helper()
	es := s.list(fprom.Filter{Personal: true})
	if want := s.safeKeys(tracked, noReferral, duplicate, signup, cancelled, wrong, wrongUID, wrongKey, retried, behind, bulky); !slices.Equal(entryKeys(es), want) {
		s.t.Fatalf("%s: entries %v, want %v", when, entryKeys(es), want)
	}
	for i, e := range es {
		s.checkTimes(i, e)
		got, want := e, s.want(i)
		if i != retried && got.Reason != want.Reason { // the reason of a retry is checked below
			s.t.Errorf("%s: %s has Reason %q, want %q", when, e.Key, got.Reason, want.Reason)
		}
		if !slices.Equal(got.CommissionIDs, want.CommissionIDs) {
			s.t.Errorf("%s: %s has CommissionIDs %v, want %v", when, e.Key, got.CommissionIDs, want.CommissionIDs)
		}
		for _, x := range []*fprom.Entry{&got, &want} {
			x.RecordedAt, x.SettledAt, x.NextAttempt, x.Reason, x.Cursor, x.CommissionIDs = time.Time{}, time.Time{}, time.Time{}, "", "", nil
		}
		if !reflect.DeepEqual(got, want) {
			s.t.Errorf("%s: entry\n%+v, want\n%+v", when, got, want)
		}
	}
	if st := s.stats(); st.Pending != 2 || st.Bulk != 1 || st.Dead != 3 || st.Ledger < 4 || st.Ledger > 5 { // a queue need not remember a cancellation
		s.t.Errorf("%s: Stats %+v, want Pending 2, Bulk 1, Dead 3, Ledger 4 or 5", when, st)
	}
}

func (s *scene) checkTimes(i int, e fprom.Entry) {
	s.t.Helper()
	if e.RecordedAt.Sub(s.msgs[i].RecordedAt).Abs() > time.Millisecond {
		s.t.Errorf("%s has RecordedAt %v, want %v", e.Key, e.RecordedAt, s.msgs[i].RecordedAt)
	}
	if settled := !e.SettledAt.IsZero(); settled != (i < retried) || settled && !s.during(e.SettledAt) {
		s.t.Errorf("%s has SettledAt %v; delivery was from %v to %v", e.Key, e.SettledAt, s.begun, s.before)
	}
	if next := !e.NextAttempt.IsZero(); next != (i == retried) || next && !s.during(e.NextAttempt.Add(-time.Minute)) {
		s.t.Errorf("%s has NextAttempt %v; delivery was from %v to %v", e.Key, e.NextAttempt, s.begun, s.before)
	}
	if i == retried && !strings.Contains(e.Reason, "503") {
		s.t.Errorf("%s has Reason %q, want the last error", e.Key, e.Reason)
	}
	if e.Cursor == "" {
		s.t.Errorf("%s has no Cursor", e.Key)
	}
}

// during reports whether at is in the time of delivery. It allows 2 s for clocks and the jitter of a retry.
func (s *scene) during(at time.Time) bool {
	return at.After(s.begun.Add(-2*time.Second)) && at.Before(s.before.Add(2*time.Second))
}

func (r *rig) testFilter() {
	s := newScene(r)
	at := func(i int) time.Time { return s.msgs[i].RecordedAt }
	signupKey := s.msgs[signup].Key
	for _, c := range []struct {
		name string
		f    fprom.Filter
		want []int
	}{
		{"Message.Key", fprom.Filter{Keys: []string{s.msgs[wrong].Key, s.msgs[behind].Key}}, []int{wrong, behind}},
		{"Entry.Key", fprom.Filter{Keys: s.safeKeys(signup, tracked)}, []int{tracked, signup}},
		{"a key that is an address", fprom.Filter{Keys: []string{signupKey}}, []int{signup}},
		{"event ids", fprom.Filter{Keys: []string{"re_none", "in_wrong_uid"}}, []int{noReferral, wrongUID}},
		{"event ids that are customers", fprom.Filter{Keys: []string{strings.TrimPrefix(signupKey, "signup:"), "u_gus"}}, []int{signup, cancelled}},
		{"keys and a kind", fprom.Filter{Keys: []string{"in_behind", "in_wrong", "in_tracked", "in_double", "re_none"}, Kind: fprom.KindSale}, []int{tracked, duplicate, wrong, behind}},
		{"keys that nobody has", fprom.Filter{Keys: []string{"in_", "sale:", "refund:in_tracked", ""}}, nil},
		{"waiting", fprom.Filter{State: fprom.StateWaiting}, []int{retried, behind, bulky}},
		{"done", fprom.Filter{State: fprom.StateDone}, []int{tracked, noReferral, duplicate, signup, cancelled}},
		{"dead", fprom.Filter{State: fprom.StateDead}, []int{wrong, wrongUID, wrongKey}},
		{"tracked", fprom.Filter{Outcome: fprom.Tracked}, []int{tracked, signup}},
		{"not-referral", fprom.Filter{Outcome: fprom.NotReferral}, []int{noReferral, cancelled}},
		{"duplicate", fprom.Filter{Outcome: fprom.Duplicate}, []int{duplicate}},
		{"rejected", fprom.Filter{Outcome: fprom.Rejected}, []int{wrong, wrongUID, wrongKey}},
		{"undelivered", fprom.Filter{Outcome: fprom.Undelivered}, []int{retried, behind, bulky}},
		{"kind", fprom.Filter{Kind: fprom.KindRefund}, []int{noReferral}},
		{"customer", fprom.Filter{Customer: "HAL@Example.com"}, []int{retried, behind, bulky}},
		{"customer by uid", fprom.Filter{Customer: "u_finn"}, []int{wrongUID}},
		{"uid in another case", fprom.Filter{Customer: "U_FINN"}, nil},
		{"uid that is an address", fprom.Filter{Customer: "faye@EXAMPLE.com"}, []int{wrongKey}},
		{"customer masked", fprom.Filter{Customer: "h***@e***"}, nil},
		{"since", fprom.Filter{Since: at(behind)}, []int{behind, bulky}},
		{"until", fprom.Filter{Until: at(duplicate)}, []int{tracked, noReferral}},
		{"since and until", fprom.Filter{Since: at(signup), Until: at(wrong)}, []int{signup, cancelled}},
		{"reason", fprom.Filter{Reason: "amount BLANK"}, []int{wrong}},
		{"status of the dead", fprom.Filter{StatusCode: 422}, []int{wrongUID}},
		{"status of the waiting", fprom.Filter{StatusCode: 503}, []int{retried}},
		{"status of the done", fprom.Filter{StatusCode: 409}, []int{duplicate}},
		{"limit", fprom.Filter{Limit: 2}, []int{tracked, noReferral}},
		{"limit among the selected", fprom.Filter{Limit: 1, State: fprom.StateDead}, []int{wrong}},
		{"all together", fprom.Filter{Kind: fprom.KindSale, State: fprom.StateWaiting, Customer: "hal@example.com", Since: at(behind), Limit: 5}, []int{behind, bulky}},
		{"nothing", fprom.Filter{State: fprom.StateDone, Outcome: fprom.Rejected}, nil},
	} {
		if got, want := entryKeys(s.list(c.f)), s.safeKeys(c.want...); !slices.Equal(got, want) {
			s.t.Errorf("by %s: %v, want %v", c.name, got, want)
		}
	}
}

// testClock: an event is recorded when the clock is a day ahead, and delivered, with one after it, when the clock is right again.
func (r *rig) testClock() {
	ahead, after := r.sale("in_ahead", "ann", 100), r.sale("in_after", "ben", 100)
	ahead.RecordedAt = ahead.RecordedAt.Add(24 * time.Hour)
	r.put(ahead, after)
	r.start(1, nil)
	r.checkOnce(ahead, after)
	r.settled()
	if got := entryKeys(r.list(fprom.Filter{Since: ahead.RecordedAt.Add(-time.Hour)})); !slices.Equal(got, []string{"sale:in_ahead"}) {
		r.t.Errorf("since an hour before the clock was a day ahead: %v, want the event of that time", got)
	}
}

func (r *rig) testMask() {
	s := newScene(r)
	for _, e := range s.list(fprom.Filter{}) {
		if strings.Contains(e.Key+e.Customer+e.Reason, "@example.com") {
			s.t.Errorf("an entry shows an address: %+v", e)
		}
	}
	for place, masked := range map[int]string{wrong: "e***@e***", behind: "h***@e***", wrongUID: "u_finn"} {
		if e := s.one(fprom.Filter{Keys: []string{s.msgs[place].Key}}); e.Customer != masked {
			s.t.Errorf("%s shows the customer %q, want %q", e.Key, e.Customer, masked)
		}
		if e := s.one(fprom.Filter{Keys: []string{s.msgs[place].Key}, Personal: true}); e.Customer != s.msgs[place].Customer {
			s.t.Errorf("%s shows the customer %q in clear, want %q", e.Key, e.Customer, s.msgs[place].Customer)
		}
	}
}

// testConflicts: an event id with another amount counts once as a conflict, however often it is put.
func (r *rig) testConflicts() {
	m := r.sale("in_1", "ann", 100)
	r.put(m)
	for _, amount := range []int64{200, 200, 300} {
		changed := r.sale("in_1", "ann", amount)
		r.checkConflict("another amount", r.q.Put(r.t.Context(), changed), changed)
	}
	for _, when := range []string{"before", "after"} {
		if st := r.stats(); st.Conflicts != 2 {
			r.t.Errorf("%s reopening: Stats %+v, want Conflicts 2", when, st)
		}
		r.restart()
	}
}
