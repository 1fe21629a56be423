package queuetest

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/fprom-go/fprom"
)

var turnCases = []testCase{
	{"delivers others beside a few that are held", func(r *rig) { r.testBesideHeld(5, 2, 50*time.Millisecond) }},
	{"delivers others beside many that are held", func(r *rig) { r.testBesideHeld(100, 4, time.Millisecond) }},
	{"delivers others beside some that fail", (*rig).testBesideFailing},
	{"tries again beside a stream of new events", (*rig).testRetryBesideNew},
}

// testBesideHeld puts events that are held repeatedly, each for a moment, before others. More of them are due than there are workers.
// The others must still have their turn.
func (r *rig) testBesideHeld(held, workers int, each time.Duration) {
	r.beside(held, workers, each, heldError(r.t))
}

// testBesideFailing is the same with failing deliveries.
func (r *rig) testBesideFailing() { r.beside(10, 2, 20*time.Millisecond, retryError(r.t)) }

func (r *rig) beside(n, workers int, each time.Duration, err error) {
	bad, others := r.sales("bad", n), r.sales("other", 10)
	r.put(bad...)
	r.start(workers, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if strings.Contains(m.Key, "bad") {
			<-time.After(each)
			return failed(err)
		}
		return done()
	})
	r.wait("each of the bad ones tried", func() bool { return len(r.keys()) > n })
	r.put(others...)
	before := len(r.keys()) // not before: a slow machine takes long for a Put
	// With fair turns there is one bad delivery for each delivery of the others; allow 8.
	enough := before + 8*len(others) + n
	r.wait("the others delivered", func() bool {
		calls := len(r.keys()) // before the others are looked for: more may begin meanwhile
		missing := 0
		for _, m := range others {
			if len(r.deliveries(m)) == 0 {
				missing++
			}
		}
		if missing > 0 && calls > enough {
			r.t.Fatalf("%d of %d others are not delivered after %d deliveries: %d that come back again and again have all the turns", missing, len(others), calls-before, n)
		}
		return missing == 0
	})
}

// testRetryBesideNew: an event that was tried before has its turn although many new events wait.
func (r *rig) testRetryBesideNew() {
	again := heldError(r.t)
	tried := r.sale("tried", "ann", 100)
	r.put(tried)
	r.start(1, func(_ context.Context, m fprom.Message) (fprom.Result, error) {
		if m.Key == tried.Key && len(r.deliveries(tried)) == 1 {
			return failed(again)
		}
		<-time.After(2 * time.Millisecond)
		return done()
	})
	put := 0
	r.wait("the event that was tried, beside new ones", func() bool {
		for waiting := put + 2 - len(r.keys()); waiting < 30; waiting++ {
			r.put(r.sale("new"+strconv.Itoa(put), "customer"+strconv.Itoa(put), 100))
			put++
		}
		return r.ended(tried) == 2
	})
}
