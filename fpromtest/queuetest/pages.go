package queuetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

var pageCases = []testCase{
	{"goes on after a cursor", (*rig).testPages},
	{"goes on after a cursor that is gone", (*rig).testCursorGone},
	{"holds up nothing while it is read", (*rig).testHoldsNothing},
	{"stops reading when told", (*rig).testStopsReading},
	{"can be used while deliveries go on", (*rig).testBeside},
}

// testPages reads all entries, and selections, in pages of two. Each page is read after reopening.
func (r *rig) testPages() {
	s := newScene(r)
	for _, f := range []fprom.Filter{{}, {Kind: fprom.KindSale}, {State: fprom.StateWaiting}} {
		want := entryKeys(s.list(f))
		var got []string
		for f.Limit = 2; ; {
			page := s.list(f)
			if len(page) == 0 {
				break
			}
			if len(page) > f.Limit {
				s.t.Fatalf("a page of %d entries with Limit %d", len(page), f.Limit)
			}
			got = append(got, entryKeys(page)...)
			f.After = page[len(page)-1].Cursor
			if len(got) > len(want) {
				break
			}
			s.restart()
		}
		if !slices.Equal(got, want) {
			s.t.Errorf("pages of %+v: %v, want %v", f, got, want)
		}
	}
	all, n := s.outbox().Entries(s.t.Context(), fprom.Filter{}), 0
	for range 2 {
		for _, err := range all {
			if err != nil {
				s.t.Fatal(err)
			}
			n++
		}
	}
	if want := 2 * len(s.list(fprom.Filter{})); n != want {
		s.t.Errorf("two ranges over one result of Entries: %d entries, want %d", n, want)
	}
}

// testCursorGone drops the entry of a cursor.
func (r *rig) testCursorGone() {
	s := newScene(r)
	first := s.one(fprom.Filter{State: fprom.StateDead, Limit: 1})
	n, err := s.outbox().Drop(s.t.Context(), fprom.Filter{Keys: []string{first.Key}})
	s.checkCount("Drop", n, err, 1)
	if got, want := entryKeys(s.list(fprom.Filter{State: fprom.StateDead, After: first.Cursor})), s.safeKeys(wrongUID, wrongKey); !slices.Equal(got, want) {
		s.t.Errorf("after the cursor of an entry that was dropped: %v, want %v", got, want)
	}
	if got, want := entryKeys(s.list(fprom.Filter{After: first.Cursor})), s.safeKeys(wrongUID, wrongKey, retried, behind, bulky); !slices.Equal(got, want) {
		s.t.Errorf("after the same cursor, of all: %v, want %v", got, want)
	}
}

func (r *rig) testHoldsNothing() {
	s := newScene(r)
	s.start(2, nil)
	seen := 0
	for _, err := range s.outbox().Entries(s.t.Context(), fprom.Filter{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		if seen++; seen == 1 {
			m := s.sale("in_meanwhile", "ivy", 100)
			s.put(m)
			s.wait("the delivery of what was put while the entries are read", func() bool { return s.ended(m) == 1 })
			n, err := s.outbox().Drop(s.t.Context(), fprom.Filter{Keys: []string{"in_wrong"}})
			s.checkCount("Drop while the entries are read", n, err, 1)
		}
	}
	if seen < 10 {
		s.t.Errorf("%d entries were seen, want all that were there from the beginning to the end, which are 10", seen)
	}
}

func (r *rig) testStopsReading() {
	s := newScene(r)
	for _, err := range s.outbox().Entries(s.t.Context(), fprom.Filter{}) {
		if err != nil {
			s.t.Errorf("Entries: %v", err)
		}
		break
	}
	s.put(s.sale("in_next", "ivy", 100)) // Entries has released what it used
	ended, cancel := context.WithCancel(s.t.Context())
	cancel()
	var last error
	for _, err := range s.outbox().Entries(ended, fprom.Filter{}) {
		if last != nil {
			s.t.Fatal("Entries went on after an error")
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		s.t.Errorf("Entries with a context that has ended: error %v, want the context's", last)
	}
}

// testBeside calls every method repeatedly while events are delivered and some become dead letters.
func (r *rig) testBeside() {
	const n = 120
	r.start(4, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if amount, _ := m.Money(); amount%3 == 0 && len(r.deliveries(m)) == 1 {
			return rejected()
		}
		return done()
	})
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for what, call := range r.everyMethod(ctx) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if err := call(); err != nil {
					r.t.Errorf("%s while deliveries go on: %v", what, err)
					return
				}
			}
		})
	}
	ms := make([]fprom.Message, n)
	for i := range ms {
		ms[i] = r.sale("in_"+strconv.Itoa(i), "customer"+strconv.Itoa(i%40), int64(1+i))
		r.put(ms[i])
	}
	r.wait("every event done", func() bool { return r.stats().Ledger == n })
	close(stop)
	wg.Wait()
	for i, m := range ms {
		want := 1
		if (1+i)%3 == 0 {
			want = 2
		}
		if got := len(r.deliveries(m)); got != want {
			r.t.Errorf("%s was delivered %d times, want %d", m.Key, got, want)
		}
	}
	if got := len(r.list(fprom.Filter{State: fprom.StateDone})); got != n {
		r.t.Errorf("%d entries are done, want %d", got, n)
	}
}

func (r *rig) everyMethod(ctx context.Context) map[string]func() error {
	q := r.outbox()
	return map[string]func() error{
		"Entries": func() error {
			for _, err := range q.Entries(ctx, fprom.Filter{}) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"Redrive": func() error { _, err := q.Redrive(ctx, fprom.Filter{}); return err },
		"Drop":    func() error { _, err := q.Drop(ctx, fprom.Filter{Keys: []string{"in_nobody"}}); return err },
		"History": func() error {
			_, err := q.History(ctx, time.Now().Add(-time.Minute), time.Now(), time.Second)
			return err
		},
		"Forget": func() error { _, err := q.Forget(ctx, "nobody@example.com"); return err },
		"Stats":  func() error { _, err := q.Stats(ctx); return err },
	}
}
