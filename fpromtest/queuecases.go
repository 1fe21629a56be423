package fpromtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
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
	{"reports a conflict and stores the rest", (*rig).testConflict},
	{"reports a conflict within one Put", (*rig).testConflictInBatch},
	{"delivers oldest first", (*rig).testOldestFirst},
	{"keeps a customer's order over retries", (*rig).testCustomerOrder},
	{"lets others overtake a blocked customer", (*rig).testOvertake},
	{"uses workers deliveries at once and no more", (*rig).testWorkers},
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
		{"the same pair again", []fprom.Message{changed}, true},
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
