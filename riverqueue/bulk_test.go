package riverqueue_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/fpromtest"
	"github.com/fprom-go/fprom/riverqueue"
)

// putBulk stores n bulk events, each of a customer of its own.
func putBulk(tb testing.TB, q *riverqueue.Queue, n int) {
	tb.Helper()
	var ms []fprom.Message
	for i := range n {
		m := message(tb, sale(fmt.Sprint("bulk", i), fmt.Sprint("old", i), 100))
		m.Bulk = true
		if ms = append(ms, m); len(ms) == 5000 || i == n-1 {
			if err := q.Put(tb.Context(), ms...); err != nil {
				tb.Fatal(err)
			}
			ms = ms[:0]
		}
	}
}

// TestBulkLeavesSpareCalls: a bulk event takes no call that is spare: a live one that comes next would wait.
func TestBulkLeavesSpareCalls(t *testing.T) {
	t.Parallel()
	const perMinute = 40 // one is spare
	const apart = 62 * time.Second * 100 / (95 * perMinute)
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, pool := open(t, cfg)
	putBulk(t, q, 1)
	var took [2]time.Duration
	start(t, q, func(ctx context.Context, _ fprom.Message) error {
		for i, ctx := range []context.Context{t.Context(), ctx} { // of a live event, of this one
			if err := q.Admit(t.Context(), perMinute); err != nil {
				return err
			}
			begun := time.Now()
			execSQL(t, pool, `UPDATE `+cfg.Schema+`.fprom_account SET next_slot = clock_timestamp()`)
			if err := q.Admit(ctx, perMinute); err != nil {
				return err
			}
			took[i] = time.Since(begun)
		}
		return nil
	})
	flush(t, q)
	if took[0] > apart || took[1] < apart {
		t.Errorf("a live event waited for %v and a bulk event for %v, want at most %v and at least that", took[0], took[1], apart)
	}
}

// TestLiveAgeBesideBulk: live events at a rate under the limit arrive as soon beside 20,000 bulk events as without them.
// Two accounts get them in turns, so that what else the machine does is the same for both.
func TestLiveAgeBesideBulk(t *testing.T) {
	t.Parallel()
	const limit, bulk, live = 1200, 20_000, 100
	var trackers [2]*fprom.Tracker
	var fakes [2]*fpromtest.Server
	for i := range trackers {
		fakes[i] = fpromtest.NewServer(t, fpromtest.WithRateLimit(0), fpromtest.WithAllLeads())
		ts, qs := fleet(t, 1, fakes[i], func(c *fprom.Config) { c.RequestsPerMinute, c.Burst = limit, 0 })
		if trackers[i] = ts[0]; i == 1 {
			putBulk(t, qs[0], bulk)
		}
	}
	time.Sleep(5 * time.Second) // so that the buckets, which begin empty, have what they may have
	recorded := [2]map[string]time.Time{{}, {}}
	for i := range 2 * live {
		id := fmt.Sprint("live", i)
		recorded[i%2][id] = time.Now()
		enqueue(t, trackers[i%2], sale(id, id, 100))
		time.Sleep(40 * time.Millisecond)
	}
	var ages [2][]time.Duration
	for i, fake := range fakes {
		waitFor(t, "the live events", func() bool {
			ages[i] = nil
			for _, r := range fake.Requests() {
				if at, ok := recorded[i][r.EventID]; ok {
					ages[i] = append(ages[i], r.Time.Sub(at))
				}
			}
			return len(ages[i]) == live
		})
		slices.Sort(ages[i])
	}
	alone, beside := ages[0][live/2], ages[1][live/2]
	sent := len(fakes[1].Requests()) - live
	t.Logf("median age %v alone, %v beside %d bulk events, of which %d were sent", alone, beside, bulk, sent)
	if half := time.Minute / limit / 2; beside > alone*150/100+half { // half of what a call costs that a bulk event takes from a live one
		t.Errorf("median age at delivery %v beside %d bulk events, %v without them", beside, bulk, alone)
	}
	if sent < 30 { // limit leaves 90 to them
		t.Errorf("%d bulk events were sent beside the live ones: what these leave is not used", sent)
	}
}
