package queuetest

import (
	"context"
	"slices"
	"strconv"

	"github.com/fprom-go/fprom"
)

var orderCases = []testCase{
	{"delivers oldest first", (*rig).testOldestFirst},
	{"keeps a customer's order over retries", (*rig).testCustomerOrder},
	{"lets others overtake a blocked customer", (*rig).testOvertake},
	{"lets a customer's later events pass one that is set aside", (*rig).testSetAside},
	{"uses all workers and no more", (*rig).testWorkers},
	{"delivers live events before bulk", (*rig).testBulkLast},
	{"delivers a live event in the middle of bulk", (*rig).testLiveAmongBulk},
	{"keeps a customer's order over bulk", (*rig).testBulkOrder},
}

func (r *rig) testOldestFirst() {
	ms := r.sales("sale", 10)
	for _, m := range ms[:5] {
		r.put(m)
	}
	r.restart()
	r.put(ms[0]) // stores nothing
	r.put(ms[5:]...)
	r.start(1, nil)
	r.checkOnce(ms...)
	r.checkOrder(keysOf(ms)...)
	for _, m := range ms {
		r.checkSame(r.deliveries(m)[0].Message, m)
	}
}

// checkOrder waits for the deliveries and checks their order.
func (r *rig) checkOrder(want ...string) {
	r.t.Helper()
	r.wait("as many deliveries as messages", func() bool { return len(r.keys()) >= len(want) })
	if got := r.keys(); !slices.Equal(got, want) {
		r.t.Errorf("one worker delivered %v, want %v", got, want)
	}
}

func (r *rig) testCustomerOrder() {
	fails := retryError(r.t)
	var ms []fprom.Message
	for i := range 5 {
		ms = append(ms, r.sale(strconv.Itoa(i), "ann", 100))
	}
	other := r.sale("other", "ben", 100)
	r.put(ms[:3]...)
	r.put(other)
	r.start(4, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Attempt == 1 && (m.Key == ms[0].Key || m.Key == ms[2].Key) {
			return failed(fails)
		}
		return done()
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
	release, _ := r.gate()
	blocked := r.sale("0", "ann", 100)
	r.put(blocked)
	for i := range 5 { // more than workers: no worker may wait for the blocked customer
		r.put(r.sale("behind"+strconv.Itoa(i), "ann", 100))
	}
	others := r.sales("other", 5)
	r.put(others...)
	r.start(2, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == blocked.Key {
			<-release
		}
		return done()
	})
	r.checkOnce(others...)
	if r.ended(blocked) != 0 || len(r.keys()) != 1+len(others) {
		r.t.Errorf("deliveries while the first of a customer is under way: %v", r.keys())
	}
}

func (r *rig) testSetAside() {
	aside := setAsideError(r.t)
	bad, next, last := r.sale("bad", "ann", 100), r.sale("next", "ann", 100), r.sale("last", "ann", 100)
	r.put(bad, next)
	r.start(4, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == bad.Key {
			return failed(aside)
		}
		return done()
	})
	r.checkOnce(next)
	r.restart()
	more := []fprom.Message{last}
	for i := range 4 { // each waits for the one before it
		more = append(more, r.sale("more"+strconv.Itoa(i), "ann", 100))
	}
	r.put(more...)
	r.checkOnce(append(more, bad)...)
	if s := r.stats(); s.Pending != 1 {
		r.t.Errorf("Stats: %+v, want Pending 1: what is set aside is kept", s)
	}
}

func (r *rig) testWorkers() {
	const n = 3
	release, open := r.gate()
	ms := r.sales("sale", 4*n)
	r.put(ms...)
	r.start(n, func(context.Context, fprom.Message) (fprom.Result, error) {
		<-release
		return done()
	})
	r.wait("as many deliveries under way as there are workers", func() bool { active, _ := r.inProgress(); return active >= n })
	r.idle(quiet)
	open()
	r.wait("all delivered", func() bool { return len(r.keys()) == len(ms) })
	if _, most := r.inProgress(); most != n {
		r.t.Errorf("%d deliveries at once, want %d", most, n)
	}
}

func (r *rig) testBulkLast() {
	old, live := bulk(r.sales("bulk", 5)...), r.sales("live", 5)
	r.put(old...)
	r.put(live...)
	r.restart()
	if s := r.stats(); s.Pending != len(live) || s.Bulk != len(old) {
		r.t.Errorf("Stats: %+v, want Pending %d and Bulk %d", s, len(live), len(old))
	}
	r.start(1, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == old[1].Key || m.Key == live[1].Key {
			return rejected()
		}
		return done()
	})
	r.checkOrder(append(keysOf(live), keysOf(old)...)...)
	r.checkSame(r.deliveries(old[0])[0].Message, old[0])
	r.settled()
}

func (r *rig) testLiveAmongBulk() {
	gate, open := r.gate()
	old, live := bulk(r.sales("bulk", 4)...), r.sale("live", "ann", 100)
	r.put(old...)
	r.start(1, func(context.Context, fprom.Message) (fprom.Result, error) {
		<-gate
		return done()
	})
	r.wait("the first of the bulk under way", func() bool { return len(r.keys()) == 1 })
	r.put(live)
	open()
	r.checkOrder(old[0].Key, live.Key, old[1].Key, old[2].Key, old[3].Key)
}

// testBulkOrder: no event overtakes an earlier event of its customer, bulk or not.
func (r *rig) testBulkOrder() {
	annBulk, annLive := bulk(r.sale("ann-bulk", "ann", 100))[0], r.sale("ann-live", "ann", 100)
	benLive, benBulk := r.sale("ben-live", "ben", 100), bulk(r.sale("ben-bulk", "ben", 100))[0]
	r.put(annBulk)
	r.put(annLive, benLive, benBulk)
	r.start(1, nil)
	r.wait("all delivered", func() bool { return len(r.keys()) == 4 })
	got := r.keys()
	if slices.Index(got, annBulk.Key) > slices.Index(got, annLive.Key) || slices.Index(got, benLive.Key) != 0 {
		r.t.Errorf("delivered %v, want %s first, and %s before %s", got, benLive.Key, annBulk.Key, annLive.Key)
	}
}
