package fpromtest

import (
	"context"
	"slices"
	"strconv"

	"github.com/fprom-go/fprom"
)

func (r *rig) testOldestFirst() {
	r.workers(1)
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
	r.workers(n)
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
