package queuetest

import (
	"time"

	"github.com/fprom-go/fprom"
)

var historyCases = []testCase{
	{"counts outcomes by interval", (*rig).testHistory},
	{"bounds the number of intervals", (*rig).testHistoryBound},
}

func (r *rig) testHistory() {
	s := newScene(r)
	// The expected buckets of one second, and their sum, from the entries.
	from, to := s.begun.Add(-3*time.Second), s.before.Add(3*time.Second)
	want := map[time.Time]*fprom.Bucket{}
	sum := fprom.Bucket{}
	for _, e := range s.list(fprom.Filter{}) {
		if e.State == fprom.StateWaiting {
			continue
		}
		at := e.SettledAt.Truncate(time.Second).UTC()
		if want[at] == nil {
			want[at] = &fprom.Bucket{}
		}
		want[at].Add(e.State, e.Outcome)
		sum.Add(e.State, e.Outcome)
	}
	if sum != (fprom.Bucket{Tracked: 2, NotReferral: 2, Duplicate: 1, Dead: 3}) {
		s.t.Fatalf("the entries sum up to %+v", sum)
	}
	for _, when := range []string{"before", "after"} {
		s.checkHistory(when, from, to, want)
		s.restart()
	}
	s.checkSums(sum)
	n, err := s.outbox().Redrive(s.t.Context(), fprom.Filter{Limit: 1})
	s.checkCount("Redrive of one", n, err, 1)
	n, err = s.outbox().Drop(s.t.Context(), fprom.Filter{Limit: 1})
	s.checkCount("Drop of another", n, err, 1)
	sum.Dead -= 2
	s.checkSums(sum)
}

func (s *scene) checkHistory(when string, from, to time.Time, want map[time.Time]*fprom.Bucket) {
	s.t.Helper()
	got, err := s.outbox().History(s.t.Context(), from, to, time.Second)
	if err != nil {
		s.t.Fatalf("History: %v", err)
	}
	start := from.Truncate(time.Second)
	if n := int((to.Sub(start) + time.Second - 1) / time.Second); len(got) != n {
		s.t.Errorf("%s reopening: History gives %d buckets of a second from %v to %v, want %d", when, len(got), from, to, n)
	}
	for i, b := range got {
		at := start.Add(time.Duration(i) * time.Second)
		w := fprom.Bucket{}
		if x := want[at.UTC()]; x != nil {
			w = *x
		}
		if !b.Start.Equal(at) || b.Tracked != w.Tracked || b.NotReferral != w.NotReferral || b.Duplicate != w.Duplicate || b.Dead != w.Dead {
			s.t.Errorf("%s reopening: bucket %d is %+v, want %+v at %v", when, i, b, w, at)
		}
	}
}

const year = 365 * 24 * time.Hour

// checkSums checks intervals with all outcomes, and with none.
func (s *scene) checkSums(sum fprom.Bucket) {
	s.t.Helper()
	for _, c := range []struct {
		name     string
		from, to time.Time
		step     time.Duration
		want     fprom.Bucket
	}{
		{"the hours around", s.begun.Add(-time.Hour), s.before.Add(time.Hour), time.Hour, sum},
		{"the hours before", s.begun.Add(-5 * time.Hour), s.begun.Add(-2 * time.Hour).Truncate(time.Hour), time.Hour, fprom.Bucket{}},
		{"all years", time.Time{}, s.before.Add(time.Hour), 10 * year, sum},
		{"the years before", time.Time{}, s.begun.Add(-10 * year), 10 * year, fprom.Bucket{}},
		{"an end before the beginning", time.Date(2560, 1, 1, 0, 0, 0, 0, time.UTC), s.before, year, fprom.Bucket{}},
	} {
		bs, err := s.outbox().History(s.t.Context(), c.from, c.to, c.step)
		if err != nil || len(bs) == 0 && c.from.Before(c.to) {
			s.t.Errorf("History of %s: %d buckets, %v", c.name, len(bs), err)
		}
		got := fprom.Bucket{}
		for _, b := range bs {
			got.Tracked, got.NotReferral = got.Tracked+b.Tracked, got.NotReferral+b.NotReferral
			got.Duplicate, got.Dead = got.Duplicate+b.Duplicate, got.Dead+b.Dead
		}
		n := len(bs)
		for n > 0 && bs[n-1].Start.After(s.before) { // ten years may begin in this hour
			n--
		}
		if n > 0 && c.from.IsZero() && c.want != (fprom.Bucket{}) && bs[n-1].Tracked != c.want.Tracked {
			s.t.Errorf("History of %s ends with %+v, want what was delivered now", c.name, bs[n-1])
		}
		if got != c.want {
			s.t.Errorf("History of %s sums up to %+v, want %+v", c.name, got, c.want)
		}
	}
}

func (r *rig) testHistoryBound() {
	now := time.Now().Truncate(time.Second)
	if bs, err := r.outbox().History(r.t.Context(), now.Add(-10_000*time.Second), now, time.Second); err != nil || len(bs) != 10_000 {
		r.t.Errorf("History of 10,000 intervals: %d buckets, %v", len(bs), err)
	}
	if bs, err := r.outbox().History(r.t.Context(), now.Add(-20_000*time.Second), now, time.Second); err == nil || len(bs) != 0 {
		r.t.Errorf("History of 20,000 intervals: %d buckets, %v, want an error: a part would be taken for the whole", len(bs), err)
	}
	if bs, err := r.outbox().History(r.t.Context(), now, now, 0); err == nil {
		r.t.Errorf("History with a step of 0: %d buckets, want an error", len(bs))
	}
}
