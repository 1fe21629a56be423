package fprom_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fprom-go/fprom"
)

// down answers 500 while it is true.
type down struct {
	mu sync.Mutex
	is bool
}

func (d *down) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.is = false
}

func (d *down) answer(int, call) reply {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.is {
		return reply{status: 500}
	}
	return ok()
}

func TestWorkersWaitAtTheOpenBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &down{is: true}
		f := &fake{answer: d.answer}
		q := newRecorder()
		cfg := config(f)
		cfg.Queue, cfg.Breaker.OpenFor, cfg.Workers = q, 10*time.Second, 4
		tracker := start(t, cfg)
		const n = 1000
		for i := range n {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		settle()
		if s := tracker.Stats(); s.Breaker != "open" || s.Attempts < 5 || s.Attempts > 5+3 { // 4 workers
			t.Fatalf("after five failures: %+v", s)
		}
		time.Sleep(time.Hour) // a probe each 10 s
		settle()              // the last one may have begun just now
		calls, answers := len(f.seen()), len(slices.DeleteFunc(q.answers(), fprom.IsHeld))
		if calls < 300 || calls > 375 || answers != calls || q.puts != n {
			t.Errorf("%d calls, %d events rewritten, %d stored; want one of each per probe", calls, answers, q.puts)
		}
		d.end()
		begin := time.Now()
		flush(t, tracker, time.Hour)
		// Only what failed in the outage still has its backoff; it fell to at most a minute.
		if s, took := tracker.Stats(), time.Since(begin); s.Breaker != "closed" || s.Tracked != n || took > time.Minute+20*time.Second {
			t.Errorf("after %v: %+v", took, s)
		}
	})
}

func TestTrackAtTheOpenBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &down{is: true}
		f := &fake{answer: d.answer}
		cfg := config(f)
		cfg.Breaker = fprom.BreakerConfig{Failures: 3, OpenFor: time.Minute}
		tracker := start(t, cfg)
		for i := range 10 {
			r, err := tracker.Track(t.Context(), sale(strconv.Itoa(i)))
			if open := errors.Is(err, fprom.ErrCircuitOpen); open != (i >= 3) || r.Outcome != fprom.Undelivered {
				t.Errorf("Track %d: %v, %v", i, r.Outcome, err)
			}
		}
		if n := len(f.seen()); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
		d.end()
		time.Sleep(time.Minute + time.Millisecond)
		if r, err := tracker.Track(t.Context(), sale("probe")); r.Outcome != fprom.Tracked {
			t.Errorf("probe: %v, %v", r.Outcome, err)
		}
		if b := tracker.Stats().Breaker; b != "closed" {
			t.Errorf("the breaker is %s after a probe that succeeded", b)
		}
		enqueue(t, tracker, sale("after"))
		flush(t, tracker, 100*time.Millisecond)
	})
}

// Who was let through before the breaker opened, and still waits for the rate limit, is not sent when it has opened. A caller of
// Track is told at once.
func TestNothingIsSentWhenTheBreakerOpened(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := always(reply{status: 500})
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst, cfg.Workers = 60, 1, 16
		cfg.Breaker = fprom.BreakerConfig{Failures: 2, OpenFor: time.Hour}
		tracker, begin := start(t, cfg), time.Now()
		var wg sync.WaitGroup
		for i := range 16 {
			enqueue(t, tracker, sale("q"+strconv.Itoa(i)))
		}
		settle() // they are in the line first
		for i := range 16 {
			wg.Go(func() {
				_, err := tracker.Track(t.Context(), sale("t"+strconv.Itoa(i)))
				var api *fprom.APIError
				if d := time.Since(begin); !errors.Is(err, fprom.ErrCircuitOpen) && !errors.As(err, &api) || d > 3*time.Second {
					t.Errorf("Track after %v: %v", d, err)
				}
			})
		}
		time.Sleep(30 * time.Minute)
		wg.Wait()
		if n := len(f.seen()); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
	})
}

// An event that always gets a 500 neither starves the others nor keeps the breaker open.
func TestPoisonedEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &down{is: true}
		f := &fake{answer: func(n int, c call) reply {
			if c.has("poison") {
				return reply{status: 500}
			}
			return d.answer(n, c)
		}}
		cfg := config(f)
		cfg.Workers = 1
		tracker := start(t, cfg)
		enqueue(t, tracker, sale("poison"))
		for i := range 50 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(10 * time.Minute)
		d.end()
		time.Sleep(3 * time.Minute)
		if s := tracker.Stats(); s.Tracked != 50 || s.Queue.Pending != 1 {
			t.Errorf("stats %+v", s)
		}
		enqueue(t, tracker, sale("new")) // alone, the poisoned event may have opened the breaker
		time.Sleep(3 * time.Second)
		if s := tracker.Stats(); s.Tracked != 51 {
			t.Errorf("stats %+v", s)
		}
		if n := f.count("poison"); n < 5 {
			t.Errorf("the poisoned event was tried %d times", n)
		}
	})
}

// open makes a Tracker whose breaker is open, and lets the time pass until the next call is the probe.
func open(t *testing.T, f *fake) *fprom.Tracker {
	t.Helper()
	cfg := config(f)
	cfg.Breaker = fprom.BreakerConfig{Failures: 1, OpenFor: time.Minute}
	tracker := start(t, cfg)
	if _, err := tracker.Track(t.Context(), sale("first")); err == nil || tracker.Stats().Breaker != "open" {
		t.Fatalf("the breaker is %s after %v", tracker.Stats().Breaker, err)
	}
	time.Sleep(time.Minute + time.Millisecond)
	return tracker
}

func TestCancelledProbeGivesItsSlotBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := open(t, script(reply{status: 500}, reply{hang: true}, ok()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := tracker.Track(ctx, sale("probe")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled probe: %v", err)
		}
		if b := tracker.Stats().Breaker; b != "half-open" {
			t.Errorf("the breaker is %s after a cancelled probe", b)
		}
		if r, err := tracker.Track(t.Context(), sale("next")); r.Outcome != fprom.Tracked {
			t.Errorf("next probe: %v, %v", r.Outcome, err)
		}
	})
}

// A probe that hangs keeps the others waiting for a second, not until its time-out.
func TestHungProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 500}, reply{hang: true}, ok())
		tracker := open(t, f)
		enqueue(t, tracker, sale("hung"), sale("next"))
		time.Sleep(900 * time.Millisecond)
		if n := len(f.seen()); n != 2 {
			t.Errorf("%d calls while the probe hangs, want one probe", n)
		}
		if _, err := tracker.Track(t.Context(), sale("other")); !errors.Is(err, fprom.ErrCircuitOpen) {
			t.Errorf("Track while the probe hangs: %v", err)
		}
		time.Sleep(time.Second)
		if s := tracker.Stats(); s.Tracked != 1 || s.Breaker != "closed" {
			t.Errorf("stats %+v", s)
		}
		flush(t, tracker, 10*time.Second+time.Minute+5*time.Second)
	})
}

// A probe that answers late still closes the breaker.
func TestSlowProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := script(reply{status: 500}, reply{status: 200, body: okBody, after: 3 * time.Second})
		tracker := open(t, f)
		for i := range 5 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(3*time.Second + 10*time.Millisecond)
		if b := tracker.Stats().Breaker; b != "closed" {
			t.Errorf("the breaker is %s", b)
		}
		flush(t, tracker, time.Minute)
	})
}

// What is neither success nor failure at the probe leaves the next event to decide, a second later.
func TestProbeWithoutVerdictOnTheService(t *testing.T) {
	for _, v := range verdicts() {
		if v.breaker != "neither" {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tracker := open(t, script(reply{status: 500}, v.reply, ok()))
				_, _ = tracker.Track(t.Context(), v.sent())
				if b := tracker.Stats().Breaker; b != "half-open" {
					t.Errorf("the breaker is %s", b)
				}
				time.Sleep(max(v.pause, time.Second))
				if r, err := tracker.Track(t.Context(), sale("next")); r.Outcome != fprom.Tracked {
					t.Errorf("the next probe: %v, %v", r.Outcome, err)
				}
			})
		})
	}
}

// Where only events that are refused wait after an outage, a caller of Track soon gets through.
func TestTrackBesideRefusedEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		const outage = 20 * time.Minute
		f := &fake{answer: func(_ int, c call) reply {
			switch {
			case time.Since(begin) < outage:
				return reply{status: 500}
			case c.has("tracked"):
				return ok()
			}
			return reply{status: 403, body: `{"message":"no"}`}
		}}
		cfg := config(f)
		cfg.RequestsPerMinute, cfg.Burst = 400, 20
		tracker := start(t, cfg)
		for i := range 300 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(outage)
		for err := fprom.ErrCircuitOpen; errors.Is(err, fprom.ErrCircuitOpen); _, err = tracker.Track(t.Context(), sale("tracked")) {
			time.Sleep(100 * time.Millisecond)
		}
		if s := tracker.Stats(); s.Breaker != "closed" || s.Tracked != 1 || time.Since(begin) > outage+10*time.Second {
			t.Errorf("after %v: %+v", time.Since(begin)-outage, s)
		}
	})
}

// Where FirstPromoter says after an outage that it cannot serve now, it gets no more than a probe a second.
func TestBusyAfterAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin, probes := time.Now(), 0
		const outage = 20 * time.Minute
		cfg := config(&fake{answer: func(int, call) reply {
			if time.Since(begin) < outage {
				return reply{status: 500}
			}
			probes++
			return reply{status: 503, header: http.Header{"Retry-After": {"600"}}}
		}})
		cfg.RequestsPerMinute, cfg.Burst = 400, 20
		tracker := start(t, cfg)
		for i := range 300 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(outage + time.Minute)
		settle()
		if probes == 0 || probes > 61 {
			t.Errorf("%d probes in a minute", probes)
		}
	})
}

// Where all that waited for the end of an outage is rejected, nothing waits longer than the limit asks for.
func TestAllIsRejectedAfterAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		begin := time.Now()
		f := &fake{answer: func(int, call) reply {
			if time.Since(begin) < 5*time.Minute {
				return reply{status: 500}
			}
			return reply{status: 422, body: `{"message":"no"}`}
		}}
		tracker := start(t, config(f))
		for i := range 200 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		time.Sleep(5*time.Minute + 2*time.Second)
		enqueue(t, tracker, sale("new"))
		flush(t, tracker, time.Minute+2*time.Second) // some have their backoff
	})
}

// A call that began before the breaker opened, and fails when it is half-open, is no probe that fails.
func TestLateFailureAtTheHalfOpenBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := &fake{answer: func(_ int, c call) reply {
			switch {
			case c.has("late"):
				return reply{status: 500, after: 9 * time.Second}
			case c.has("fails"):
				return reply{status: 500}
			}
			return ok()
		}}
		cfg := config(f)
		cfg.Breaker = fprom.BreakerConfig{Failures: 1, OpenFor: 5 * time.Second}
		tracker := start(t, cfg)
		go func() { _, _ = tracker.Track(t.Context(), sale("late")) }()
		settle()
		_, _ = tracker.Track(t.Context(), sale("fails"))
		time.Sleep(9 * time.Second)
		settle() // the late answer is in
		if r, err := tracker.Track(t.Context(), sale("probe")); r.Outcome != fprom.Tracked {
			t.Errorf("the probe: %v, %v", r.Outcome, err)
		}
	})
}

// A caller with a short deadline and a slow FirstPromoter: no failure of the service, however often.
func TestCancelledCallsDoNotOpenTheBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tracker := start(t, config(always(reply{hang: true})))
		for i := range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := tracker.Track(ctx, sale(strconv.Itoa(i))); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Track: %v", err)
			}
			cancel()
		}
		if b := tracker.Stats().Breaker; b != "closed" {
			t.Errorf("the breaker is %s", b)
		}
	})
}

// Where each first attempt fails, the events that are tried again are not kept waiting for those that are not.
func TestFirstAttemptsFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var mu sync.Mutex
		tried := map[string]bool{}
		f := &fake{answer: func(_ int, c call) reply {
			mu.Lock()
			defer mu.Unlock()
			if !tried[c.body] {
				tried[c.body] = true
				return reply{err: errReset}
			}
			return ok()
		}}
		tracker := start(t, config(f))
		for i := range 150 {
			enqueue(t, tracker, sale(strconv.Itoa(i)))
		}
		flush(t, tracker, 45*time.Second)
	})
}
