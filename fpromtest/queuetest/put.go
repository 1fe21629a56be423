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

var putCases = []testCase{
	{"delivers what was put before and during Run", (*rig).testDelivers},
	{"stores a key once", (*rig).testDuplicates},
	{"reports a conflict each time and stores the rest", (*rig).testConflict},
	{"stores all or none", (*rig).testAllOrNone},
	{"frees the key of a dead letter", (*rig).testDeadKeyAgain},
	{"takes a cancellation again", (*rig).testRepeats},
	{"takes Puts from many goroutines", (*rig).testConcurrentPuts},
}

func (r *rig) testDelivers() {
	before, during := r.sale("before", "ann", 100), r.sale("during", "ben", 200)
	r.put(before)
	r.start(4, nil)
	r.wait("the first message delivered", func() bool { return r.ended(before) == 1 })
	r.put(during)
	r.idle(time.Second) // longer than a retry takes
	r.checkOnce(before, during)
	for _, m := range []fprom.Message{before, during} {
		r.checkSame(r.deliveries(m)[0].Message, m)
	}
}

func (r *rig) testDuplicates() {
	m, other := r.sale("1", "ann", 100), r.sale("2", "ben", 100)
	r.put(m)
	r.put(m)
	r.put(m, other, other)
	later := m
	later.RecordedAt = later.RecordedAt.Add(time.Hour)
	r.put(later)
	r.start(4, nil)
	r.checkOnce(m, other)
}

// checkConflict checks that Put returned a conflict with exactly these messages, or nil if there are none.
func (r *rig) checkConflict(what string, err error, ms ...fprom.Message) {
	r.t.Helper()
	if len(ms) == 0 {
		if err != nil {
			r.t.Errorf("Put of %s: %v, want nil", what, err)
		}
		return
	}
	c, ok := errors.AsType[*fprom.ConflictError](err)
	if !ok || !errors.Is(err, fprom.ErrConflict) {
		r.t.Errorf("Put of %s: %v, want a *ConflictError that wraps ErrConflict", what, err)
		return
	}
	got, want := slices.Sorted(slices.Values(c.Keys)), slices.Sorted(slices.Values(keysOf(ms)))
	if !slices.Equal(got, want) {
		r.t.Errorf("Put of %s: the conflict names %v, want %v", what, got, want)
	}
}

func (r *rig) testConflict() {
	m1, m2, fresh, fresh4 := r.sale("1", "ann", 100), r.sale("2", "ann", 100), r.sale("3", "ben", 100), r.sale("4", "ben", 100)
	changed1, changed2, changed4, third := r.sale("1", "ann", 999), r.sale("2", "ann", 999), r.sale("4", "ben", 999), r.sale("1", "ann", 777)
	r.put(m1, m2)
	for _, step := range []struct {
		name     string
		put      []fprom.Message
		conflict []fprom.Message
	}{
		{"two other amounts around a message that is new", []fprom.Message{changed1, fresh, changed2}, []fprom.Message{changed1, changed2}},
		{"the same pair again", []fprom.Message{changed1}, []fprom.Message{changed1}},
		{"a third amount", []fprom.Message{m2, third}, []fprom.Message{third}},
		{"the first one again", []fprom.Message{m1}, nil},
		{"two amounts of one key that is new", []fprom.Message{fresh4, changed4}, []fprom.Message{changed4}},
	} {
		r.checkConflict(step.name, r.q.Put(r.t.Context(), step.put...), step.conflict...)
	}
	r.start(4, nil)
	r.checkOnce(m1, m2, fresh, fresh4)
	for _, m := range []fprom.Message{m1, fresh4} {
		r.checkSame(r.deliveries(m)[0].Message, m)
	}
}

// testAllOrNone puts with a context that has ended. A queue may ignore that, or store nothing.
func (r *rig) testAllOrNone() {
	ended, cancel := context.WithCancel(r.t.Context())
	cancel()
	ms, marker := r.sales("sale", 3), r.sale("marker", "ben", 100)
	err := r.q.Put(ended, ms...)
	r.put(marker)
	r.start(4, nil)
	if err == nil {
		r.checkOnce(append(ms, marker)...)
		return
	}
	r.checkOnce(marker)
	if n := len(r.keys()); n != 1 {
		r.t.Errorf("Put returned %v, but %v were delivered, want only %s", err, r.keys(), marker.Key)
	}
}

func (r *rig) testDeadKeyAgain() {
	bad, corrected := r.sale("1", "ann", 999), r.sale("1", "ann", 100)
	r.put(bad)
	r.start(2, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Digest == bad.Digest {
			return rejected()
		}
		return done()
	})
	r.wait("a dead letter", func() bool { return r.stats().Dead == 1 })
	r.put(corrected)
	r.wait("the corrected event delivered", func() bool { return r.ended(corrected) == 2 })
	r.checkSame(r.deliveries(corrected)[1].Message, corrected)
	r.settled()
}

// testRepeats: a second cancellation of a customer is a new event, unless the first one still waits.
func (r *rig) testRepeats() {
	m := r.message(fprom.Cancellation{Email: "ann@example.com"})
	r.put(m)
	r.put(m)
	r.start(2, nil)
	r.checkOnce(m)
	r.settled()
	r.put(m)
	r.wait("the second cancellation delivered", func() bool { return r.ended(m) == 2 })
	r.idle(quiet)
	if n := len(r.deliveries(m)); n != 2 {
		r.t.Errorf("%d deliveries of two cancellations", n)
	}
}

func (r *rig) testConcurrentPuts() {
	const goroutines, each = 8, 30
	r.start(4, nil)
	ms := make([]fprom.Message, 0, goroutines*each)
	for i := range goroutines * each {
		ms = append(ms, r.sale(strconv.Itoa(i), "customer"+strconv.Itoa(i%50), 100))
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				own, neighbours := ms[g*each+i], ms[(g+1)%goroutines*each+i]
				if err := r.q.Put(r.t.Context(), own, neighbours); err != nil {
					r.t.Errorf("Put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	r.wait("all delivered", func() bool {
		keys := map[string]bool{}
		for _, k := range r.keys() {
			keys[k] = true
		}
		return len(keys) == len(ms)
	})
}
