package queuetest

import (
	"context"
	"slices"
	"time"

	"github.com/fprom-go/fprom"
)

var deadCases = []testCase{
	{"redrives dead letters", (*rig).testRedrive},
	{"redrives after what waits", (*rig).testRedriveLast},
	{"redrives what a filter selects", (*rig).testRedriveSome},
	{"drops dead letters", (*rig).testDrop},
	{"drops what a filter selects", (*rig).testDropSome},
	{"replaces a dead letter whose key is put again", (*rig).testReplaced},
}

func (r *rig) testRedrive() {
	s := newScene(r)
	n, err := s.outbox().Redrive(s.t.Context(), fprom.Filter{})
	s.checkCount("Redrive of all", n, err, 3)
	if got, want := entryKeys(s.list(fprom.Filter{State: fprom.StateWaiting})), s.safeKeys(wrong, wrongUID, wrongKey, retried, behind, bulky); !equalSets(got, want) {
		s.t.Errorf("waiting after Redrive: %v, want %v", got, want)
	}
	if st := s.stats(); st.Dead != 0 || st.Pending != 5 {
		s.t.Errorf("Stats after Redrive: %+v, want Dead 0 and Pending 5", st)
	}
	s.restart()
	s.start(2, nil)
	s.checkOnce(s.msgs[wrong:retried]...)
	for _, place := range []int{wrong, wrongUID, wrongKey} {
		if got := s.deliveries(s.msgs[place])[0]; string(got.Body) == "" || got.Attempt != 1 || got.Digest != s.msgs[place].Digest || got.Customer != s.msgs[place].Customer {
			s.t.Errorf("redriven: %+v, want the first attempt of what was put: %+v", got.Message, s.msgs[place])
		}
	}
	s.wait("all done", func() bool { return len(s.list(fprom.Filter{State: fprom.StateDone, Outcome: fprom.Tracked})) == 5 })
	n, err = s.outbox().Redrive(s.t.Context(), fprom.Filter{})
	s.checkCount("Redrive where nothing is dead", n, err, 0)
}

func (r *rig) testRedriveLast() {
	dead := r.sales("dead", 2)
	r.put(dead...)
	r.start(2, func(context.Context, fprom.Message) (fprom.Result, error) { return rejected() })
	r.settled()
	r.stop()
	r.calls = nil
	waiting := append([]fprom.Message{r.message(fprom.Sale{EventID: "later", Email: dead[0].Customer, Amount: 100})}, r.sales("waiting", 2)...)
	r.put(waiting...)
	n, err := r.outbox().Redrive(r.t.Context(), fprom.Filter{})
	r.checkCount("Redrive of all", n, err, 2)
	r.start(1, nil)
	r.checkOrder(keysOf(append(waiting, dead...))...)
}

func equalSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func (r *rig) testRedriveSome() {
	s := newScene(r)
	for _, c := range []struct {
		name string
		f    fprom.Filter
		want int
	}{
		{"of what waits", fprom.Filter{Keys: []string{"in_retried", "in_behind"}}, 0},
		{"of what is done", fprom.Filter{State: fprom.StateDone, Keys: []string{"in_tracked"}}, 0},
		{"by another status", fprom.Filter{StatusCode: 401}, 0},
		{"by the status, whatever state is asked for", fprom.Filter{State: fprom.StateWaiting, StatusCode: 422}, 1},
		{"by the status again", fprom.Filter{StatusCode: 422}, 0},
		{"by the reason and an event id", fprom.Filter{Reason: "amount blank", Keys: []string{"in_wrong"}, Limit: 1}, 1},
		{"by keys however they are written", s.keysOfDead(), 1},
	} {
		n, err := s.outbox().Redrive(s.t.Context(), c.f)
		s.checkCount("Redrive "+c.name, n, err, c.want)
	}
	s.start(2, nil)
	s.checkOnce(s.msgs[wrong:retried]...)
	if n := len(s.deliveries(s.msgs[tracked])); n != 0 {
		s.t.Errorf("an event that was done was delivered again")
	}
}

// keysOfDead names the three dead letters by event id, by Message.Key and by SafeKey.
func (s *scene) keysOfDead() fprom.Filter {
	return fprom.Filter{Keys: []string{"in_wrong", s.msgs[wrongUID].Key, s.safeKeys(wrongKey)[0], "in_tracked", "in_behind"}}
}

func (r *rig) testDrop() {
	s := newScene(r)
	n, err := s.outbox().Drop(s.t.Context(), fprom.Filter{})
	s.checkCount("Drop of all", n, err, 3)
	if st := s.stats(); st.Dead != 0 || st.Pending != 2 || st.Bulk != 1 || st.Ledger < 4 {
		s.t.Errorf("Stats after Drop: %+v, want Dead 0, and nothing else changed", st)
	}
	corrected := s.message(fprom.Sale{EventID: "in_wrong", Email: "eve@example.com", Amount: 777, Currency: "usd"})
	s.put(corrected) // the id is free, also for another amount
	s.restart()
	s.start(2, nil)
	s.checkOnce(corrected)
	s.checkSame(s.deliveries(corrected)[0].Message, corrected)
	if n := len(s.deliveries(s.msgs[wrongUID])); n != 0 {
		s.t.Error("an event that was dropped was delivered")
	}
}

func (r *rig) testDropSome() {
	s := newScene(r)
	for _, c := range []struct {
		name string
		f    fprom.Filter
		want int
	}{
		{"of what waits", fprom.Filter{State: fprom.StateWaiting, Customer: "hal@example.com"}, 0},
		{"of what is done", fprom.Filter{Keys: []string{"in_tracked", "re_none"}}, 0},
		{"by kind, one at most", fprom.Filter{Kind: fprom.KindSale, Limit: 1}, 1},
	} {
		n, err := s.outbox().Drop(s.t.Context(), c.f)
		s.checkCount("Drop "+c.name, n, err, c.want)
	}
	if got, want := entryKeys(s.list(fprom.Filter{State: fprom.StateDead})), s.safeKeys(wrongUID, wrongKey); !slices.Equal(got, want) {
		s.t.Errorf("dead letters after dropping the oldest: %v, want %v", got, want)
	}
	n, err := s.outbox().Drop(s.t.Context(), s.keysOfDead())
	s.checkCount("Drop by keys however they are written", n, err, 2)
	if got := s.list(fprom.Filter{State: fprom.StateWaiting}); len(got) != 3 {
		s.t.Errorf("%d events wait after Drop, want 3", len(got))
	}
}

func (r *rig) testReplaced() {
	s := newScene(r)
	corrected := bulk(s.message(fprom.Sale{EventID: "in_wrong", Email: "eve@example.com", Amount: 777, Currency: "usd"}))[0]
	corrected.RecordedAt = corrected.RecordedAt.Add(-time.Hour)
	s.put(corrected)
	if e := s.one(fprom.Filter{Keys: []string{"in_wrong"}}); e.State != fprom.StateWaiting || e.Amount != 777 || e.Reason != "" || e.StatusCode != 0 {
		s.t.Errorf("the entry of a dead letter whose key was put again: %+v, want the new event, waiting, as if never tried", e)
	}
	if keys := entryKeys(s.list(fprom.Filter{})); keys[len(keys)-1] != corrected.Key {
		s.t.Errorf("entries %v, want what was put again last", keys)
	}
	if st := s.stats(); st.Dead != 2 || st.Pending != 2 || st.Bulk != 2 {
		s.t.Errorf("Stats: %+v, want Dead 2, Pending 2 and Bulk 2", st)
	}
	n, err := s.outbox().Redrive(s.t.Context(), fprom.Filter{Keys: []string{"in_wrong"}})
	s.checkCount("Redrive of a key that waits again", n, err, 0)
	s.start(2, func(context.Context, fprom.Message) (fprom.Result, error) { return done() })
	s.checkOnce(corrected)
	s.checkSame(s.deliveries(corrected)[0].Message, corrected)
}
