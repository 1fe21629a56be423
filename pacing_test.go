package fprom_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// most is the largest number of calls in any window of 60 seconds.
func most(calls []call) (n int) {
	first := 0
	for i, c := range calls {
		for c.at.Sub(calls[first].at) >= time.Minute {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

// Whatever arrives when, over restarts too: no window of 60 seconds, however placed, has more calls than the limit.
func TestNoWindowExceedsTheLimit(t *testing.T) {
	for _, limit := range []struct{ perMinute, burst int }{{2, 1}, {10, 0}, {60, 30}, {400, 0}, {400, 1}, {400, 399}, {1000, 170}} {
		t.Run(fmt.Sprintf("%d burst %d", limit.perMinute, limit.burst), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(limit.perMinute), uint64(limit.burst)))
				f := always(ok())
				id := 0
				for range 4 { // processes, one after the other
					cfg := config(f)
					cfg.RequestsPerMinute, cfg.Burst, cfg.Workers = limit.perMinute, limit.burst, 1+rng.IntN(64)
					tracker, err := fprom.New(cfg)
					if err != nil {
						t.Fatal(err)
					}
					for range 1 + rng.IntN(6) { // bursts of arrivals
						for range rng.IntN(2*limit.perMinute + 1) {
							id++
							enqueue(t, tracker, sale(strconv.Itoa(id)))
						}
						time.Sleep(time.Duration(rng.Int64N(int64(90 * time.Second))))
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.Int64N(int64(3*time.Minute))))
					_ = tracker.Shutdown(ctx)
					cancel()
				}
				if n := most(f.seen()); n > limit.perMinute {
					t.Errorf("%d of %d calls in one minute", n, len(f.seen()))
				}
			})
		})
	}
}

// Probes keep the limit, too, also where it is lower than a probe a second.
func TestProbesKeepTheLimit(t *testing.T) {
	for _, status := range []int{401, 403, 500} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(reply{status: status})
				cfg := config(f)
				cfg.RequestsPerMinute, cfg.Burst = 6, 1
				tracker := start(t, cfg)
				for i := range 100 {
					enqueue(t, tracker, sale(strconv.Itoa(i)))
				}
				time.Sleep(10 * time.Minute)
				if n := most(f.seen()); n == 0 || n > 6 {
					t.Errorf("%d of %d calls in one minute", n, len(f.seen()))
				}
			})
		})
	}
}

// Stats counts the calls of the last minute as FirstPromoter does, by their begin: it never shows more than the limit, also
// when slow answers come together with quick ones.
func TestLastMinuteOfSlowCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		cfg := config(&fake{answer: func(int, call) reply {
			if time.Since(begin) < 2*time.Minute {
				return reply{status: 200, body: okBody, after: 9 * time.Second}
			}
			return ok()
		}})
		cfg.RequestsPerMinute, cfg.Burst = 60, 2
		tracker := start(t, cfg)
		if s := tracker.Stats(); s.OldestAge != 0 || !s.LastSuccess.IsZero() {
			t.Errorf("before the first event: %+v", s)
		}
		for i := range 300 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		for range 240 {
			time.Sleep(time.Second)
			if n := tracker.Stats().LastMinute; n > 60 {
				t.Fatalf("after %v: %d calls in the last minute", time.Since(begin), n)
			}
		}
		if s := tracker.Stats(); s.LastMinute < 55 || time.Since(s.LastSuccess) > 10*time.Second {
			t.Errorf("%d calls in the last minute, want what the limit allows; the last success at %v", s.LastMinute, s.LastSuccess)
		}
	})
}

func TestThroughputUnderTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 200, body: okBody, after: 300 * time.Millisecond})
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst = 0, 0 // 400 and 20
		tracker := start(t, cfg)
		for i := range 5000 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(10 * time.Minute)
		if n := len(f.seen()); n < 3600 || n > 4000 {
			t.Errorf("%d calls in 10 minutes, want 3600–4000", n)
		}
	})
}

// Track and the queue share the limit; a caller that gives up takes nothing from the others and trips nothing.
func TestTrackIsPaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst, cfg.Breaker.Failures = 60, 1, 1
		tracker := start(t, cfg)
		var wg sync.WaitGroup
		for i := range 200 {
			enqueue(t, tracker, sale("q"+strconv.Itoa(i)))
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Second)
				defer cancel()
				r, err := tracker.Track(ctx, sale("t"+strconv.Itoa(i)))
				if err != nil && (!errors.Is(err, context.DeadlineExceeded) || errors.Is(err, fprom.ErrPaused) || r.Outcome != fprom.Undelivered) {
					t.Errorf("Track: %v, %v", r.Outcome, err)
				}
			})
		}
		wg.Wait()
		flush(t, tracker, time.Hour)
		s := tracker.Stats()
		if n := most(f.seen()); n > 60 {
			t.Errorf("%d calls in one minute, want at most 60", n)
		}
		if s.Breaker != "closed" || s.Tracked != s.Attempts || s.Tracked < 200 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A process that crashes and starts again and again, with a backlog each time, is no way around the limit.
func TestCrashLoop(t *testing.T) {
	for _, limit := range []struct{ perMinute, burst int }{{60, 30}, {400, 20}} {
		t.Run(strconv.Itoa(limit.perMinute), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := always(ok())
				for process := range 30 {
					cfg := config(f)
					cfg.RequestsPerMinute, cfg.Burst = limit.perMinute, limit.burst
					tracker, err := fprom.New(cfg)
					if err != nil {
						t.Fatal(err)
					}
					for i := range 100 {
						enqueue(t, tracker, sale(fmt.Sprintf("%d-%d", process, i)))
					}
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					_ = tracker.Shutdown(ctx)
					cancel()
				}
				if n := most(f.seen()); n > limit.perMinute || n < limit.perMinute/3 {
					t.Errorf("%d calls in one minute, want at most %d", n, limit.perMinute)
				}
			})
		})
	}
}

// Callers that give up while they wait for the limit take nothing from those who come after them.
func TestCallersThatGiveUpCostNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst = 60, 1
		tracker := start(t, cfg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if _, err := tracker.Track(ctx, sale(strconv.Itoa(i))); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Track: %v", err)
				}
			})
		}
		wg.Wait()
		begin := time.Now()
		if r, err := tracker.Track(t.Context(), sale("patient")); r.Outcome != fprom.Tracked || time.Since(begin) > 2*time.Second {
			t.Errorf("Track after %v: %v, %v", time.Since(begin), r.Outcome, err)
		}
	})
}

// The line for the limit is kept: who came first is sent first.
func TestLimitIsFair(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(ok())
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst = 60, 1
		tracker := start(t, cfg)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if _, err := tracker.Track(t.Context(), sale(fmt.Sprintf("%02d", i))); err != nil {
					t.Error(err)
				}
			})
			settle()
		}
		wg.Wait()
		if got := order(t, f); !slices.IsSorted(got) {
			t.Errorf("sent in the order %v", got)
		}
	})
}

// An Observer learns how long an attempt waited for the limit.
func TestStepSaysHowLongItWaited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen steps
		cfg := config(always(reply{status: 200, body: okBody, after: 300 * time.Millisecond}))
		cfg.RequestsPerMinute, cfg.Burst, cfg.Observer = 63, 1, seen.observe // one call a second
		tracker := start(t, cfg)
		time.Sleep(time.Minute)
		enqueue(t, tracker, sale("a"), sale("b"), sale("c"))
		flush(t, tracker, time.Minute)
		var waited []time.Duration
		for _, s := range seen.of(fprom.StageDelivered) {
			if s.Elapsed != 300*time.Millisecond {
				t.Errorf("an attempt took %v, want 300 ms without the wait", s.Elapsed)
			}
			waited = append(waited, s.Waited.Round(time.Second))
		}
		if want := []time.Duration{0, time.Second, 2 * time.Second}; !slices.Equal(waited, want) {
			t.Errorf("waited %v, want %v", waited, want)
		}
	})
}
