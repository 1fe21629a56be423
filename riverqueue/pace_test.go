package riverqueue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
	"github.com/fprom-go/fprom/riverqueue"
)

// TestPaceOfABurst: each event of a burst, and each that is redriven, is delivered at once, also the last one.
func TestPaceOfABurst(t *testing.T) {
	t.Parallel()
	q, _ := open(t, riverqueue.Config{Schema: newSchema(t)})
	var mu sync.Mutex
	delivered := map[string]time.Time{}
	var good atomic.Bool
	start(t, q, func(_ context.Context, m fprom.Message) error {
		if m.Customer == "bad@example.com" && !good.Load() {
			return errRejected
		}
		mu.Lock()
		defer mu.Unlock()
		delivered[m.Key] = time.Now()
		return nil
	})
	put(t, q, sale("redriven", "bad", 100))
	flush(t, q)
	const rounds = 8
	slow := 0 // on a busy machine some are
	look := func(what, key string, since time.Time, most time.Duration) {
		t.Helper()
		flush(t, q)
		mu.Lock()
		defer mu.Unlock()
		if d := delivered[key].Sub(since); d > most {
			t.Logf("%s: %v", what, d)
			slow++
		}
	}
	const usual = 300 * time.Millisecond // with River's own polls alone it is up to 1 s
	for i := range rounds {
		var key string
		var last time.Time
		first := time.Now()
		for j := range 4 {
			id := fmt.Sprint(i, "_", j)
			key, last = "sale:"+id, time.Now()
			put(t, q, sale(id, id, 100))
		}
		look("the last of a burst", key, last, max(usual, 2*time.Since(first))) // a slow machine takes long for a Put, too
	}
	good.Store(true)
	begun := time.Now()
	if n, err := q.Redrive(t.Context(), fprom.Filter{}); n != 1 || err != nil {
		t.Fatalf("Redrive: %d, %v", n, err)
	}
	look("redriven", "sale:redriven", begun, max(usual, 4*time.Since(begun)))
	if slow > rounds/2 {
		t.Errorf("%d of %d events waited for a slow poll", slow, rounds+1)
	}
}

// TestLiveBesideBulkWithOneWorker: a bulk event that waits for the limit, which live events of other replicas use up, does not
// keep the only worker from a live event for long.
func TestLiveBesideBulkWithOneWorker(t *testing.T) {
	t.Parallel()
	const perMinute = 600
	cfg := riverqueue.Config{Schema: newSchema(t)}
	q, _ := open(t, cfg)
	other, _ := open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for other.Admit(ctx, perMinute) == nil {
		} // uses up the limit
	})
	putBulk(t, q, 1)
	held, live := make(chan struct{}, 10), make(chan time.Time, 1)
	wg.Go(func() {
		if err := q.Run(ctx, 1, tracked(func(ctx context.Context, m fprom.Message) error {
			held <- struct{}{}
			if err := q.Admit(ctx, perMinute); err != nil {
				return err
			}
			if !m.Bulk {
				live <- time.Now()
			}
			return nil
		})); err != nil {
			t.Error(err)
		}
	})
	<-held
	begun := time.Now()
	put(t, q, sale("live", "ann", 100))
	select {
	case at := <-live:
		t.Logf("delivered after %v", at.Sub(begun))
	case <-time.After(patience):
		t.Error("a live event waits for the only worker, which has a bulk event")
	}
	cancel()
	wg.Wait()
}
