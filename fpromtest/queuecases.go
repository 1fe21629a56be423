package fpromtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fprom-go/fprom"
)

var errLater = errors.New("fpromtest: this delivery fails")

var queueCases = []struct {
	name string
	run  func(r *rig)
}{
	{"delivers what was put before and during Run", (*rig).testDelivers},
	{"stores a key once", (*rig).testDuplicates},
	{"reports a conflict once and stores the rest", (*rig).testConflict},
	{"reports a conflict within one Put", (*rig).testConflictInBatch},
	{"delivers oldest first", (*rig).testOldestFirst},
	{"keeps a customer's order over retries", (*rig).testCustomerOrder},
	{"lets others overtake a blocked customer", (*rig).testOvertake},
	{"uses SetWorkers deliveries at once and no more", (*rig).testWorkers},
	{"tries again after RetryDelay and counts attempts", (*rig).testRetry},
	{"waits as long as an error asks for", (*rig).testRetryAfter},
	{"does not count a held attempt", (*rig).testHeld},
	{"does not offer a permanent failure again", (*rig).testPermanent},
	{"returns from Run after the calls under way", (*rig).testRunWaits},
	{"does not count an interrupted attempt", (*rig).testInterrupted},
	{"keeps an outcome that came after the end", (*rig).testLateOutcome},
	{"takes Puts from many goroutines", (*rig).testConcurrentPuts},
	{"flushes what was stored before", (*rig).testFlush},
	{"tells its state", (*rig).testStats},
	{"lists what is left, oldest first", (*rig).testUndelivered},
}

func (r *rig) testDelivers() {
	before, during := r.sale("before", "ann", 100), r.sale("during", "ben", 200)
	r.put(before)
	r.start(nil)
	r.wait("the first message delivered", func() bool { return r.ended(before) == 1 })
	r.put(during)
	r.once(before, during)
	r.idle(time.Second) // a retry would come within this time
	r.once(before, during)
	for _, m := range []fprom.Message{before, during} {
		r.same(r.of(m)[0].Message, m)
	}
}

// same checks that a delivered message is the one that was put. The body may be spelled differently.
func (r *rig) same(got, want fprom.Message) {
	r.t.Helper()
	if got.Attempt != 1 {
		r.t.Errorf("first delivery of %s has Attempt %d, want 1", want.Key, got.Attempt)
	}
	if got.Key != want.Key || got.Kind != want.Kind || got.Customer != want.Customer ||
		got.RecordedAt.Sub(want.RecordedAt).Abs() > time.Millisecond {
		r.t.Errorf("delivered %+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(decoded(got.Body), decoded(want.Body)) {
		r.t.Errorf("delivered body %s, want %s", got.Body, want.Body)
	}
}

func decoded(b []byte) any {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

func (r *rig) testDuplicates() {
	m, other := r.sale("1", "ann", 100), r.sale("2", "ben", 100)
	r.put(m)
	r.put(m)
	r.put(m, other, other)
	later := m
	later.RecordedAt = later.RecordedAt.Add(time.Hour)
	r.put(later)
	r.start(nil)
	r.once(m, other)
}

func (r *rig) testConflict() {
	m, fresh := r.sale("1", "ann", 100), r.sale("2", "ben", 100)
	changed, changedAgain := r.sale("1", "ann", 999), r.sale("1", "ann", 777)
	r.put(m)
	for _, step := range []struct {
		name     string
		put      []fprom.Message
		conflict bool
	}{
		{"another amount, and a message that is new", []fprom.Message{changed, fresh}, true},
		{"the same pair again", []fprom.Message{changed}, false},
		{"a third amount", []fprom.Message{changedAgain}, true},
		{"the first one again", []fprom.Message{m}, false},
	} {
		if err := r.q.Put(r.t.Context(), step.put...); errors.Is(err, fprom.ErrConflict) != step.conflict || err != nil && !step.conflict {
			r.t.Errorf("Put of %s: %v, want a conflict: %v", step.name, err, step.conflict)
		}
	}
	r.start(nil)
	r.once(m, fresh)
	r.same(r.of(m)[0].Message, m)
}

func (r *rig) testConflictInBatch() {
	m, changed, fresh := r.sale("1", "ann", 100), r.sale("1", "ann", 999), r.sale("2", "ben", 100)
	if err := r.q.Put(r.t.Context(), m, changed, fresh); !errors.Is(err, fprom.ErrConflict) {
		r.t.Errorf("Put of two amounts with one key: %v, want ErrConflict", err)
	}
	r.start(nil)
	r.once(m, fresh)
	r.same(r.of(m)[0].Message, m)
}

func (r *rig) testOldestFirst() {
	if !r.workers(1) {
		return
	}
	var want []string
	for i := range 10 {
		m := r.sale(strconv.Itoa(i), "customer"+strconv.Itoa(i), 100)
		want = append(want, m.Key)
		r.put(m)
	}
	r.start(nil)
	r.wait("ten deliveries", func() bool { return len(r.keys()) == len(want) })
	if got := r.keys(); !slices.Equal(got, want) {
		r.t.Errorf("one worker delivered %v, want %v", got, want)
	}
}

func (r *rig) testCustomerOrder() {
	r.workers(4)
	var ms []fprom.Message
	for i := range 5 {
		ms = append(ms, r.sale(strconv.Itoa(i), "ann", 100))
	}
	other := r.sale("other", "ben", 100)
	r.put(ms[:3]...)
	r.put(other)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Attempt == 1 && (m.Key == ms[0].Key || m.Key == ms[2].Key) {
			return errLater
		}
		return nil
	})
	r.put(ms[3:]...)
	r.wait("all delivered", func() bool { return r.ended(ms[4]) == 1 && r.ended(other) == 1 })
	want := []string{ms[0].Key, ms[0].Key, ms[1].Key, ms[2].Key, ms[2].Key, ms[3].Key, ms[4].Key}
	got := slices.DeleteFunc(r.keys(), func(k string) bool { return k == other.Key })
	if !slices.Equal(got, want) {
		r.t.Errorf("deliveries of one customer: %v, want %v", got, want)
	}
}

func (r *rig) testOvertake() {
	r.workers(2)
	release := make(chan struct{})
	blocked := r.sale("0", "ann", 100)
	r.put(blocked)
	for i := range 5 { // more than there are workers: they must not wait in a worker's hand
		r.put(r.sale("behind"+strconv.Itoa(i), "ann", 100))
	}
	var others []fprom.Message
	for i := range 5 {
		others = append(others, r.sale("other"+strconv.Itoa(i), "customer"+strconv.Itoa(i), 100))
	}
	r.put(others...)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Key == blocked.Key {
			<-release
		}
		return nil
	})
	defer close(release)
	r.once(others...)
	if r.ended(blocked) != 0 || len(r.keys()) != 1+len(others) {
		r.t.Errorf("deliveries while the first of a customer is under way: %v", r.keys())
	}
}

func (r *rig) testWorkers() {
	const n = 3
	if !r.workers(n) {
		return
	}
	release := make(chan struct{})
	for i := range 4 * n {
		r.put(r.sale(strconv.Itoa(i), "customer"+strconv.Itoa(i), 100))
	}
	r.start(func(context.Context, fprom.Message) error {
		<-release
		return nil
	})
	func() {
		defer close(release)
		r.wait("as many deliveries under way as there are workers", func() bool { active, _ := r.under(); return active >= n })
		r.idle(quiet)
	}()
	r.wait("all delivered", func() bool { return len(r.keys()) == 4*n })
	if _, most := r.under(); most != n {
		r.t.Errorf("%d deliveries at once, want %d", most, n)
	}
}

func (r *rig) testRetry() {
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Attempt < 3 {
			return errLater
		}
		return nil
	})
	r.wait("three deliveries", func() bool { return r.ended(m) == 3 })
	r.idle(quiet)
	for i, d := range r.of(m) {
		if d.Attempt != i+1 {
			r.t.Errorf("delivery %d has Attempt %d", i+1, d.Attempt)
		}
	}
	if n := len(r.of(m)); n != 3 {
		r.t.Errorf("%d deliveries, want 3", n)
	}
}

func (r *rig) testRetryAfter() {
	const pause = 1200 * time.Millisecond // more than the backoff of a first attempt
	m := r.sale("1", "ann", 100)
	r.put(m)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Attempt == 1 {
			return &fprom.APIError{StatusCode: 503, RetryAfter: pause}
		}
		return nil
	})
	r.wait("two deliveries", func() bool { return r.ended(m) == 2 })
	ds := r.of(m)
	if waited := ds[1].start.Sub(ds[0].end); waited < pause-5*time.Millisecond {
		r.t.Errorf("tried again after %v, want at least %v", waited, pause)
	}
}

func (r *rig) testHeld() {
	held := heldError(r.t)
	m := r.sale("1", "ann", 100)
	r.put(m)
	errs := []error{held, errLater, nil}
	r.start(func(context.Context, fprom.Message) error {
		return errs[len(r.of(m))-1]
	})
	r.wait("three deliveries", func() bool { return r.ended(m) == len(errs) })
	var got []int
	for _, d := range r.of(m) {
		got = append(got, d.Attempt)
	}
	if want := []int{1, 1, 2}; !slices.Equal(got, want) {
		r.t.Errorf("Attempt of deliveries that are held, failed, done: %v, want %v", got, want)
	}
}

func (r *rig) testPermanent() {
	bad, next := r.sale("bad", "ann", 100), r.sale("next", "ann", 100)
	r.put(bad, next)
	r.start(func(_ context.Context, m fprom.Message) error {
		if m.Key == bad.Key {
			return &fprom.APIError{StatusCode: 400, Message: msgAmount}
		}
		return nil
	})
	r.wait("the next of the customer delivered", func() bool { return r.ended(next) == 1 || len(r.of(bad)) > 1 })
	r.idle(1100 * time.Millisecond) // a retry would come within 1 s
	if n := len(r.of(bad)); n != 1 {
		r.t.Errorf("a permanent failure was delivered %d times, want 1", n)
	}
	if s, ok := r.stats(); ok && (s.Dead != 1 || s.Pending != 0) {
		r.t.Errorf("Stats after a permanent failure: %+v, want Dead 1, Pending 0", s)
	}
}

func (r *rig) testConcurrentPuts() {
	const goroutines, each = 8, 30
	r.start(nil)
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
