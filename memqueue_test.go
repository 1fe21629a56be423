package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

func TestOldestFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		cfg := config(f)
		cfg.Workers = 1
		tracker := start(t, cfg)
		var want []string
		for i := range 500 {
			id := strconv.Itoa(i)
			enqueue(t, tracker, sale(id))
			want = append(want, "sale:"+id)
		}
		flush(t, tracker, time.Minute)
		if got := order(t, f); !slices.Equal(got, want) {
			t.Errorf("delivered in the order %v", got)
		}
	})
}

// order is the keys of what arrived.
func order(t *testing.T, f *fake) (keys []string) {
	t.Helper()
	for _, c := range f.seen() {
		e, err := fprom.Message{Kind: c.kind, Body: []byte(c.body)}.Event()
		if err != nil {
			t.Fatal(err)
		}
		m, err := fprom.NewMessage(e)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, m.Key)
	}
	return keys
}

// Events of one customer keep their order, whatever fails, and one is sent at a time; others overtake them.
func TestOrderOfOneCustomer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		var mu sync.Mutex
		f := &fake{answer: func(int, call) reply {
			mu.Lock()
			defer mu.Unlock()
			if rng.IntN(3) == 0 {
				return reply{status: 500, after: time.Duration(rng.IntN(1000)) * time.Millisecond}
			}
			return reply{status: 200, body: okBody, after: time.Duration(rng.IntN(1000)) * time.Millisecond}
		}}
		cfg := config(f)
		cfg.Workers, cfg.Breaker.Failures = 16, 1000
		var finished []string
		cfg.Observer = func(_ context.Context, s fprom.Step) {
			if s.Stage == fprom.StageDelivered {
				mu.Lock()
				defer mu.Unlock()
				finished = append(finished, s.Message.Key)
			}
		}
		tracker := start(t, cfg)
		const customers, each = 20, 10
		for n := range each {
			for c := range customers {
				email := fmt.Sprintf("C%d@example.com", c)
				if n%2 == 1 {
					email = fmt.Sprintf("c%d@EXAMPLE.com", c) // the same one
				}
				enqueue(t, tracker, fprom.Sale{EventID: fmt.Sprintf("%d-%d", c, n), Email: email, Amount: 1})
			}
		}
		flush(t, tracker, 20*time.Hour)
		next := map[string]int{}
		for _, key := range finished {
			var c, n int
			if _, err := fmt.Sscanf(key, "sale:%d-%d", &c, &n); err != nil {
				t.Fatal(err)
			}
			customer := strconv.Itoa(c)
			if next[customer] != n {
				t.Fatalf("customer %d: event %d came when %d was next", c, n, next[customer])
			}
			next[customer]++
		}
		if len(finished) != customers*each {
			t.Errorf("%d events were delivered", len(finished))
		}
	})
}

func TestFullQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		cfg := config(always(reply{status: 200, body: okBody, wait: gate}))
		cfg.Queue, cfg.Timeout = fprom.NewMemoryQueue(10), time.Hour
		tracker := start(t, cfg)
		for i := range 10 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		begin := time.Now()
		err := tracker.Enqueue(t.Context(), sale("11"))
		if !errors.Is(err, fprom.ErrQueueFull) || time.Since(begin) != 0 {
			t.Errorf("Enqueue of the eleventh: %v after %v", err, time.Since(begin))
		}
		enqueue(t, tracker, sale("3")) // known: takes no place
		close(gate)
		flush(t, tracker, time.Minute)
		enqueue(t, tracker, sale("11")) // its refusal was no claim
		flush(t, tracker, time.Minute)
		if s := tracker.Stats(); s.Tracked != 11 || s.Queue.Pending != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Flush waits for what was accepted before it, not for what comes later.
func TestFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(_ int, c call) reply {
			if c.has("slow") {
				return reply{status: 200, body: okBody, after: time.Minute}
			}
			return reply{status: 200, body: okBody, after: time.Second}
		}}
		cfg := config(f)
		cfg.Timeout = time.Hour
		tracker := start(t, cfg)
		flush(t, tracker, 0) // nothing to wait for
		enqueue(t, tracker, sale("a"), sale("b"))
		done := make(chan time.Duration, 1)
		begin := time.Now()
		go func() {
			flush(t, tracker, time.Hour)
			done <- time.Since(begin)
		}()
		settle()
		enqueue(t, tracker, sale("slow"))
		if d := <-done; !near(d, time.Second) {
			t.Errorf("Flush took %v, want 1 s", d)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("deploy"))
		defer cancel()
		if err := tracker.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush with a short deadline: %v", err)
		}
	})
}

// restless is a Queue whose Run ends with an error now and then.
type restless struct {
	*recorder
	runs atomic.Int32
}

func (q *restless) Run(ctx context.Context, workers int, deliver func(context.Context, fprom.Message) (fprom.Result, error)) error {
	if q.runs.Add(1) < 4 {
		return errors.New("connection lost")
	}
	return q.recorder.Run(ctx, workers, deliver)
}

// weary is a Queue whose Run ends with an error each day.
type weary struct {
	*recorder
	runs []time.Time
}

func (q *weary) Run(ctx context.Context, _ int, _ func(context.Context, fprom.Message) (fprom.Result, error)) error {
	q.runs = append(q.runs, time.Now())
	select {
	case <-ctx.Done():
	case <-time.After(24 * time.Hour):
	}
	return errors.New("connection lost")
}

// The wait before a queue is started again grows only while the queue does not work.
func TestQueueThatStopsNowAndThen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := config(always(ok()))
		q := &weary{recorder: newRecorder()}
		cfg.Queue = q
		start(t, cfg)
		time.Sleep(10 * 24 * time.Hour)
		settle()
		for i, at := range q.runs[1:] {
			if gap := at.Sub(q.runs[i]) - 24*time.Hour; gap > time.Second {
				t.Errorf("stop %d: started again after %v, want 1 s", i+1, gap)
			}
		}
	})
}

func TestQueueThatStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cfg := config(always(ok()))
		q := &restless{recorder: newRecorder()}
		cfg.Queue = q
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("ch_1"))
		begin := time.Now()
		flush(t, tracker, time.Minute)
		if d := time.Since(begin); !near(d, (1+2+4)*time.Second) || q.runs.Load() != 4 { // the wait doubles
			t.Errorf("delivered after %v and %d runs", d, q.runs.Load())
		}
	})
}

// A Put that hangs keeps a checkout for a second at most, and what it then stores is no second event.
func TestPutIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newRecorder()
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		cfg := config(always(ok()))
		cfg.Queue = hanging{q}
		tracker := start(t, cfg)
		begin := time.Now()
		err := tracker.Enqueue(gone, sale("ch_1"))
		if d := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || d != time.Second {
			t.Errorf("Enqueue: %v after %v", err, d)
		}
	})
}

type hanging struct{ fprom.Queue }

func (hanging) Put(ctx context.Context, _ ...fprom.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

// A backlog of bulk events is not felt by live ones: their age at delivery stays within 10 %, near the limit too. Bulk ones
// get all that is left of it.
func TestLiveBesideBulk(t *testing.T) {
	for _, gap := range []time.Duration{3 * time.Second, 170 * time.Millisecond} {
		t.Run("one live event every "+gap.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				alone, _ := liveBesideBulk(t, gap, 0)
				beside, bulk := liveBesideBulk(t, gap, 100_000)
				if beside > alone*11/10 {
					t.Errorf("live events are %v old when they are delivered beside bulk ones, %v without", beside, alone)
				}
				if live := int(10 * time.Minute / gap); live+bulk < 3500 {
					t.Errorf("%d bulk and %d live events were delivered in ten minutes, want what the limit allows", bulk, live)
				}
			})
		})
	}
}

// liveBesideBulk puts live events for ten minutes, and returns which age 99 of 100 do not exceed, and how many bulk ones were
// delivered. Of so many customers two share a lane now and then: then a live event waits for a bulk one.
func liveBesideBulk(t *testing.T, gap time.Duration, bulk int) (age time.Duration, delivered int) {
	t.Helper()
	cfg := config(always(reply{status: 200, body: okBody, after: 100 * time.Millisecond}))
	cfg.RequestsPerMinute, cfg.Burst, cfg.Workers, cfg.Queue = 0, 0, 0, fprom.NewMemoryQueue(200_000)
	var mu sync.Mutex
	var ages []time.Duration
	cfg.Observer = func(_ context.Context, s fprom.Step) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case s.Stage == fprom.StageDelivered && s.Message.Bulk:
			delivered++
		case s.Stage == fprom.StageDelivered:
			ages = append(ages, time.Since(s.Message.RecordedAt))
		}
	}
	tracker := start(t, cfg)
	for i := range bulk {
		m, err := fprom.NewMessage(fprom.Sale{EventID: strconv.Itoa(i), UID: strconv.Itoa(i), Amount: 1})
		if err != nil {
			t.Fatal(err)
		}
		m.Bulk = true
		if err := cfg.Queue.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Minute)
	for i := range int(10 * time.Minute / gap) {
		enqueue(t, tracker, fprom.Sale{EventID: fmt.Sprint("live", i), UID: fmt.Sprint("live", i), Amount: 1})
		time.Sleep(gap)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = tracker.Shutdown(ended)
	slices.Sort(ages)
	return ages[len(ages)*99/100], delivered
}

// TestStatsOfLongQueue: Stats does not look at every event, since Put waits meanwhile.
func TestStatsOfLongQueue(t *testing.T) {
	t.Parallel()
	const n = 200_000
	q := fprom.NewMemoryQueue(n)
	for i := range n {
		m := fprom.Message{Key: strconv.Itoa(i), Customer: strconv.Itoa(i), Bulk: i%2 == 0}
		if err := q.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	best := time.Hour
	for range 10 {
		begin := time.Now()
		s, err := q.Stats(t.Context())
		best = min(best, time.Since(begin))
		if s.Pending != n/2 || s.Bulk != n/2 || err != nil {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	if best > time.Millisecond {
		t.Errorf("Stats of %d events takes %v", n, best)
	}
}
